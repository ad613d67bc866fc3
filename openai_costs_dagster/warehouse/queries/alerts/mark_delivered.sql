update openai_costs.messages
set state = 'delivered', last_error = null, finished_at = %(now)s
where message_id = %(message_id)s
