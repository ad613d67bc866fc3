update openai_costs.messages
set state = 'delivered', attempts = attempts + 1, last_error = null, finished_at = %(now)s
where message_id = %(message_id)s
