-- Cost of tokens and requests by month in US dollars, over the days with both costs and usage.
select
    organization,
    model,
    date_trunc('month', usage_date)::date as month,
    sum(amount) as amount,
    sum(tokens) as tokens,
    sum(requests) as requests
from openai_costs.unit_costs
where
    organization = any(%(organizations)s)
    and usage_date between %(first)s and %(last)s
    and amount is not null
    and tokens > 0
group by 1, 2, 3
order by 1, 2, 3
