delete from openai_costs.usage_rows
where
    organization = %(organization)s
    and usage_date between %(first)s and %(last)s
    and operation = %(operation)s
