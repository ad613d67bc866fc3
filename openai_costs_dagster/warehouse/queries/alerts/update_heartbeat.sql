update openai_costs.heartbeats
set due_at = %(due_at)s, delivered_at = %(delivered_at)s, last_error = %(last_error)s
where location = %(location)s and address = %(address)s and day = %(day)s
