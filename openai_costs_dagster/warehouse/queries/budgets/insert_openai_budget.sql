insert into openai_costs.openai_budgets (organization, amount_limit, is_hard, observed_at)
values (%(organization)s, %(amount_limit)s, %(is_hard)s, %(now)s)
on conflict do nothing
