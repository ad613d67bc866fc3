-- Budgets by period. `share` is the spent part of the budget, 1 for all of it.
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
