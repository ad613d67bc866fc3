-- A budget in its period; `share` is what was spent of it, 1 being all.
create or replace view openai_costs.budget_status as
select
    organization,
    budget,
    period_start,
    amount_limit,
    spent,
    forecast,
    forecast_low,
    forecast_high,
    spent / nullif(amount_limit, 0) as share,
    period_end,
    scope,
    scope_id,
    complete_to,
    evaluated_at
from openai_costs.budget_states;
