-- Drops messages to channels that are no longer configured.
update openai_costs.messages
set state = 'dropped', last_error = 'the channel is not configured any more', finished_at = %(now)s
where state in ('waiting', 'dead') and channel <> all (%(channels)s::text[])
