-- An email address replaces a missing name only in organizations that store email addresses.
select known.organization, known.kind, known.id, coalesce(known.name, address.email) as name
from openai_costs.directory as known
cross join lateral (
    select case when known.organization = any(%(with_addresses)s) then known.email end as email
) as address
where known.organization = any(%(organizations)s) and coalesce(known.name, address.email) is not null
union
select organization, 'project', project_id, project_name
from openai_costs.projects
where organization = any(%(organizations)s) and project_name is not null
