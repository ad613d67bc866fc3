select organization, openai_organization_id, start_date, earliest_day, onboarded_at
from openai_costs.organizations
order by organization
