delete from openai_costs.refused_groupings where organization = %(organization)s
