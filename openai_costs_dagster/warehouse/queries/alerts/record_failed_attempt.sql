-- Has no effect if the lease had expired and another sender has claimed the message.
update openai_costs.messages
set
    state = case when %(dead)s then 'dead' else 'waiting' end,
    last_error = %(error)s,
    due_at = %(due_at)s,
    finished_at = case when %(dead)s then %(now)s::timestamptz end
where message_id = %(message_id)s and attempts = %(attempts)s and state = 'waiting'
