-- Costs in currencies other than US dollars. A null currency is a currency of its own, and different currencies are
-- never added. A partial index contains exactly these rows.
select usage_date, currency, sum(amount) as amount
from openai_costs.cost_rows
where
    organization = %(organization)s
    and usage_date between %(first)s and %(last)s
    and currency is distinct from 'usd'
    and amount is not null
group by usage_date, currency
having sum(amount) <> 0
order by usage_date, currency
