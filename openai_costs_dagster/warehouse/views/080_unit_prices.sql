-- The effective price of each line item by day, amount divided by quantity, and its relative change since the previous
-- day on which the line item was billed (0.1 means 10 % more).
create or replace view openai_costs.unit_prices as
with prices as (
    select
        cost.organization,
        cost.usage_date,
        cost.line_item,
        item.model,
        cost.currency,
        cost.quantity_unit,
        sum(cost.amount) as amount,
        sum(cost.quantity) as quantity,
        sum(cost.amount) / sum(cost.quantity) as unit_price
    from openai_costs.cost_rows as cost
    left join openai_costs.line_items as item using (line_item)
    where cost.quantity > 0 and cost.amount is not null
    group by
        cost.organization, cost.usage_date, cost.line_item, item.model, cost.currency, cost.quantity_unit
)
select
    price.*,
    lag(price.unit_price) over before as previous_unit_price,
    round(price.unit_price / nullif(lag(price.unit_price) over before, 0) - 1, 6) as change
from prices as price
window before as (
    partition by price.organization, price.line_item, price.currency, price.quantity_unit order by price.usage_date
);
