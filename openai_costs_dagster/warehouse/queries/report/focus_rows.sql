select *
from openai_costs.focus
where "x_Organization" = any(%(organizations)s) and "x_UsageDate" between %(first)s and %(last)s
order by "x_UsageDate", "x_Organization"
