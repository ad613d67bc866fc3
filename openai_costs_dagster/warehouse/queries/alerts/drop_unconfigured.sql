-- What waits for a channel that is configured no more.
update openai_costs.messages
set state = 'dropped', last_error = 'the channel is configured no more', finished_at = %(now)s
where state in ('waiting', 'dead') and channel <> all (%(channels)s::text[])
