insert into openai_costs.dead_runs (run_id, organization, ended_at, reason, is_retried)
values (%(run_id)s, %(organization)s, %(ended_at)s, %(reason)s, %(is_retried)s)
on conflict (run_id) do nothing
