update openai_costs.organizations
set openai_organization_id = %(openai_organization_id)s
where organization = %(organization)s
