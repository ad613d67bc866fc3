insert into openai_costs.user_cost_days (organization, usage_date, fetched_at)
values (%(organization)s, %(usage_date)s, %(now)s)
