-- Alerts and their delivery, one row per alert.
create or replace view openai_costs.alerts as
with sent as (
    select
        delivery.alert_id,
        min(message.finished_at) filter (where message.state = 'delivered') as delivered_at,
        array_agg(message.channel order by message.channel) filter (where message.state = 'delivered')
            as delivered_to,
        array_agg(message.channel order by message.channel) filter (where message.state = 'waiting')
            as waiting_for,
        array_agg(message.channel order by message.channel) filter (where message.state = 'dead')
            as given_up
    from openai_costs.messages as message
    cross join lateral unnest(message.alert_ids) as delivery (alert_id)
    group by delivery.alert_id
)
select
    alert.alert_id,
    alert.created_at,
    alert.organization,
    alert.kind,
    alert.event,
    alert.severity,
    alert.project_id,
    alert.usage_date,
    alert.anomaly_id,
    alert.title,
    alert.message,
    alert.acknowledged,
    sent.delivered_at,
    sent.delivered_to,
    sent.waiting_for,
    sent.given_up
from openai_costs.outbox as alert
left join sent using (alert_id);
