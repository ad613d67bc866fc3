-- Whether a budget of this amount was evaluated in this period or the previous one.
select exists (
    select
    from openai_costs.budget_states
    where
        organization = %(organization)s
        and budget = %(budget)s
        and (period_start = %(period_start)s or period_end = %(period_start)s::date - 1)
        and amount_limit = %(amount_limit)s
)
