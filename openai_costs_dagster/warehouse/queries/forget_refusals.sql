delete from openai_costs.refused_groupings
where organization = %(organization)s and grouping = any(%(groupings)s::text[])
