-- Claims the oldest due message for one attempt. No other sender claims it before the lease expires.
update openai_costs.messages as message
set
    attempts = message.attempts + 1,
    first_tried_at = coalesce(message.first_tried_at, %(now)s),
    due_at = %(leased_to)s
from (
    select message_id
    from openai_costs.messages
    where channel = %(channel)s and state = 'waiting' and due_at <= %(now)s and message_id > %(after)s
    order by message_id
    limit 1
    for update skip locked
) as due
where message.message_id = due.message_id
returning
    message.message_id, message.channel, message.idempotency_key, message.alert_ids, message.attempts, message.first_tried_at
