update openai_costs.messages
set state = 'waiting', due_at = %(now)s, created_at = %(now)s, attempts = 0, finished_at = null
where state = 'dead'
