-- What was billed in other currencies than US dollars; a null currency is one of its own. Different currencies are never
-- added. A partial index finds these rows without reading any others.
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
