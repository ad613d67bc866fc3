select usage_date, sum(amount) as amount
from openai_costs.allocated_costs
where
    organization = %(organization)s
    and usage_date between %(first)s and %(last)s
    and currency = 'usd'
    and api_key_id = %(scope_id)s
group by usage_date
having sum(amount) <> 0
