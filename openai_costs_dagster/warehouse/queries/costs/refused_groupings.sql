select grouping, first_day, last_day, observed_at
from openai_costs.refused_groupings
where organization = %(organization)s
order by refusal_id
