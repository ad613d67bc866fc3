select "BillingCurrency", sum("BilledCost"), count(*)
from openai_costs.focus
where "x_Organization" = any(%(organizations)s) and "x_UsageDate" between %(first)s and %(last)s
group by 1
order by 1
