-- Spend in US dollars by day and user.
select usage_date, user_id, sum(amount) as amount
from openai_costs.user_spend
where
    organization = %(organization)s
    and usage_date between %(first)s and %(last)s
    and currency = 'usd'
    and amount is not null
group by usage_date, user_id
