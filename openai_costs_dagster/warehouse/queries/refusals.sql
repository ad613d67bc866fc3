select grouping, first_day, last_day, seen_at
from openai_costs.refusals
where organization = %(organization)s
order by refusal_id
