insert into openai_costs.budget_states (
    organization, budget, period_start, period_end, scope, scope_id, amount_limit, spent, forecast, forecast_low,
    forecast_high, complete_to, evaluated_at
)
values (
    %(organization)s, %(budget)s, %(period_start)s, %(period_end)s, %(scope)s, %(scope_id)s, %(amount_limit)s, %(spent)s,
    %(forecast)s, %(forecast_low)s, %(forecast_high)s, %(complete_to)s, %(now)s
)
on conflict (organization, budget, period_start) do update set
    period_end = excluded.period_end,
    scope = excluded.scope,
    scope_id = excluded.scope_id,
    amount_limit = excluded.amount_limit,
    spent = excluded.spent,
    forecast = excluded.forecast,
    forecast_low = excluded.forecast_low,
    forecast_high = excluded.forecast_high,
    complete_to = excluded.complete_to,
    evaluated_at = excluded.evaluated_at
