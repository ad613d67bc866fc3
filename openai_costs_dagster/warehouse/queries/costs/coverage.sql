-- First, last and last complete stored day. A day is complete if it was fetched after its end.
select
    min(usage_date) as first_day,
    max(usage_date) as last_day,
    max(usage_date) filter (where fetched_at >= (usage_date + 1)::timestamp at time zone 'UTC') as complete_to
from openai_costs.cost_days
where organization = %(organization)s
