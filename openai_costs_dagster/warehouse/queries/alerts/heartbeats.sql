select location, address, day, attempts, due_at, delivered_at, last_error
from openai_costs.heartbeats
order by location, address
