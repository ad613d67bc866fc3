select usage_date, sum(amount) as amount
from openai_costs.user_spend
where
    organization = %(organization)s
    and usage_date between %(first)s and %(last)s
    and currency = 'usd'
    and user_id = %(scope_id)s
group by usage_date
having sum(amount) <> 0
