select organization, currency, sum(amount) as amount
from openai_costs.daily_costs
where
    organization = any(%(organizations)s)
    and usage_date between %(first)s and %(last)s
    and currency is distinct from 'usd'
    and amount is not null
group by 1, 2
order by 1, 2
