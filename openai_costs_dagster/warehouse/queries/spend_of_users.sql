-- US dollars by day and user, of what was billed or allocated to one.
select usage_date, user_id, sum(amount) as amount
from openai_costs.allocated_costs
where
    organization = %(organization)s
    and usage_date between %(first)s and %(last)s
    and currency = 'usd'
    and amount is not null
    and user_id is not null
group by usage_date, user_id
