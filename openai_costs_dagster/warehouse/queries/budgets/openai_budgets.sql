select amount_limit, is_hard
from openai_costs.openai_budgets
where organization = %(organization)s
order by is_hard desc, amount_limit
