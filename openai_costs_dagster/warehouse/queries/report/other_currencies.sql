-- Costs in currencies other than US dollars. A null currency is a currency of its own.
select organization, usage_date, currency, sum(amount) as amount
from openai_costs.cost_rows
where
    organization = any(%(organizations)s)
    and usage_date between %(first)s and %(last)s
    and currency is distinct from 'usd'
    and amount is not null
group by organization, usage_date, currency
having sum(amount) <> 0
order by organization, usage_date, currency
