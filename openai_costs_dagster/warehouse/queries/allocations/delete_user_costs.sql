with forgotten as (
    delete from openai_costs.user_cost_days
    where organization = %(organization)s and usage_date between %(first)s and %(last)s
)
delete from openai_costs.user_costs
where organization = %(organization)s and usage_date between %(first)s and %(last)s
