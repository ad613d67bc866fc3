update openai_costs.messages
set state = 'waiting', due_at = %(now)s, first_tried_at = null, attempts = 0, finished_at = null
where state = 'dead'
