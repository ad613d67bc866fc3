select day, attempts, due_at, delivered_at, last_error
from openai_costs.heartbeats
where location = %(location)s and address = %(address)s
