select
    budget, period_start, period_end, scope, scope_id, amount_limit, spent, forecast, forecast_low, forecast_high, known_to
from openai_costs.budget_states
where organization = %(organization)s and %(today)s between period_start and period_end
order by budget
