insert into openai_costs.forgotten_users (user_id, forgotten_at)
values (%(user_id)s, %(now)s)
on conflict do nothing
