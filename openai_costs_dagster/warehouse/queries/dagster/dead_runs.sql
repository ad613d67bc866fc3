select run_id, organization, ended_at, reason, is_retried
from openai_costs.dead_runs
where ended_at >= %(since)s
order by ended_at, run_id
