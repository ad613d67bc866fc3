delete from openai_costs.cost_rows
where organization = %(organization)s and usage_date between %(first)s and %(last)s
