-- How much of the spend of the last days reached a user and a key; signs left out, so that credits hide nothing.
select
    sum(day.gross_usd) as gross_usd,
    sum(day.to_users_usd) as to_users_usd,
    sum(day.to_keys_usd) as to_keys_usd
from openai_costs.allocation_days as day
where day.organization = %(organization)s and day.usage_date between %(first)s and %(last)s
