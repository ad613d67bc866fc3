-- Records a message that is never sent again.
insert into openai_costs.messages (
    channel, idempotency_key, organization, alert_ids, state, due_at, attempts, first_tried_at, last_error, created_at,
    finished_at
)
values (
    %(channel)s, %(idempotency_key)s, %(organization)s, array[%(alert_id)s::bigint],
    case when %(error)s::text is null then 'delivered' else 'dropped' end,
    %(now)s, 1, %(now)s, %(error)s, %(now)s, %(now)s
)
