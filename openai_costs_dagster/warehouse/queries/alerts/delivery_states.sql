-- By channel: number and age of the messages that wait for a retry, and number of dead messages.
select
    channel,
    count(*) filter (where state = 'waiting' and attempts > 0) as waiting,
    min(created_at) filter (where state = 'waiting' and attempts > 0) as waiting_since,
    count(*) filter (where state = 'dead') as dead,
    (array_agg(last_error order by message_id desc) filter (where last_error is not null))[1] as last_error
from openai_costs.messages
where state = 'dead' or (state = 'waiting' and attempts > 0)
group by channel
order by channel
