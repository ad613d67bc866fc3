delete from openai_costs.refusals
where organization = %(organization)s and grouping = any(%(groupings)s::text[])
