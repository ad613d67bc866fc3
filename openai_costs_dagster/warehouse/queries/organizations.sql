select organization, openai_organization_id, start_date, earliest_day, first_contact_at
from openai_costs.organizations
order by organization
