update openai_costs.messages
set
    state = case when %(dead)s then 'dead' else 'waiting' end,
    attempts = attempts + 1,
    last_error = %(error)s,
    due_at = %(due_at)s,
    finished_at = case when %(dead)s then %(now)s::timestamptz end
where message_id = %(message_id)s
