select usage_date, sum(amount) as amount
from openai_costs.allocated_costs
where
    organization = %(organization)s
    and usage_date between %(first)s and %(last)s
    and currency = 'usd'
    and case %(scope)s
        when 'user' then user_id = %(scope_id)s
        when 'api_key' then api_key_id = %(scope_id)s
    end
group by usage_date
having sum(amount) is not null
