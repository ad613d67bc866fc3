with forgotten as (
    delete from openai_costs.allocation_days
    where organization = %(organization)s and usage_date = any(%(days)s::date[])
)
delete from openai_costs.allocations
where organization = %(organization)s and usage_date = any(%(days)s::date[])
