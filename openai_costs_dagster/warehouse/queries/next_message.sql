select message_id, channel, idempotency_key, alert_ids, attempts, created_at
from openai_costs.messages
where channel = %(channel)s and state = 'waiting' and due_at <= %(now)s and message_id > %(after)s
order by message_id
limit 1
for update skip locked
