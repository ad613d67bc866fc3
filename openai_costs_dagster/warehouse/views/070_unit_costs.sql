-- Cost per thousand tokens and per request, by model and day, in US dollars. Amounts include token line items only.
-- Tokens count input, including cached input, and output. Usage is joined by the billed name of the model (model_names).
create or replace view openai_costs.unit_costs as
with billed as (
    select cost.organization, cost.usage_date, item.model, sum(cost.amount) as amount
    from openai_costs.cost_rows as cost
    join openai_costs.line_items as item using (line_item)
    where
        cost.currency = 'usd'
        and item.model is not null
        and item.subcategory in ('input', 'cached input', 'cache writes', 'output')
    group by cost.organization, cost.usage_date, item.model
),
counted as (
    select
        usage.organization,
        usage.usage_date,
        name.billed_model as model,
        sum(
            coalesce((usage.counters ->> 'input_tokens')::numeric, 0)
            + coalesce((usage.counters ->> 'output_tokens')::numeric, 0)
        ) as tokens,
        sum((usage.counters ->> 'num_model_requests')::numeric) as requests
    from openai_costs.usage_rows as usage
    join openai_costs.model_names as name
        on
            usage.organization = name.organization
            and usage.usage_date = name.usage_date
            and usage.model = name.usage_model
    where usage.counters ? 'input_tokens'
    group by 1, 2, 3
)
select
    billed.organization,
    billed.usage_date,
    billed.model,
    billed.amount,
    counted.tokens,
    counted.requests,
    round(1000 * billed.amount / nullif(counted.tokens, 0), 12) as cost_per_1k_tokens,
    round(billed.amount / nullif(counted.requests, 0), 12) as cost_per_request
from billed
left join counted using (organization, usage_date, model);
