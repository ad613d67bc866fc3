select usage_date, line_item, quantity_unit, amount, quantity, model
from openai_costs.unit_prices
where
    organization = %(organization)s
    and usage_date between %(first)s and %(last)s
    and currency = 'usd'
    and line_item is not null
order by line_item, quantity_unit, usage_date
