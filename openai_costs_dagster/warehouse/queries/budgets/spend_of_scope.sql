select usage_date, sum(amount) as amount
from openai_costs.daily_costs
where
    organization = %(organization)s
    and usage_date between %(first)s and %(last)s
    and currency = 'usd'
    and case %(scope)s
        when 'project' then project_id = %(scope_id)s
        when 'model' then model = %(scope_id)s
        when 'service' then service = %(scope_id)s
    end
group by usage_date
having sum(amount) <> 0
