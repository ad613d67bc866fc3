-- Spend of a user by line item, in US dollars. Allocated costs have no quantity of their own.
select
    share.usage_date,
    coalesce(nullif(share.project_id, ''), '(none)') as project,
    coalesce(item.model, item.category, share.line_item, '(none)') as model,
    coalesce(nullif(share.api_key_id, ''), '(none)') as api_key,
    coalesce(share.line_item, '(none)') as line_item,
    coalesce(item.subcategory, item.category, share.line_item, '(none)') as kind,
    null::text as quantity_unit,
    sum(share.amount) as amount,
    null::numeric as quantity
from openai_costs.user_spend as share
left join openai_costs.line_items as item using (line_item)
where
    share.organization = %(organization)s
    and share.usage_date = any(%(days)s::date[])
    and share.currency = 'usd'
    and share.amount is not null
    and share.user_id = %(user)s
group by 1, 2, 3, 4, 5, 6
order by 1, 2, 3, 4, 5, 6
