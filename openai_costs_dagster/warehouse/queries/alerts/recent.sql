select
    alert.created_at,
    alert.organization,
    alert.kind,
    alert.event,
    alert.severity,
    alert.message,
    alert.acknowledged,
    alert.routed_at,
    coalesce(
        (
            select array_agg(message.channel || ' ' || message.state order by message.channel)
            from openai_costs.messages as message
            where alert.alert_id = any(message.alert_ids)
        ),
        '{}'
    ) as deliveries
from openai_costs.outbox as alert
order by alert.alert_id desc
limit %(count)s
