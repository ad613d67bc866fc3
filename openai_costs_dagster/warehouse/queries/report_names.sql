select organization, kind, id, coalesce(name, email) as name
from openai_costs.directory
where organization = any(%(organizations)s) and coalesce(name, email) is not null
union
select organization, 'project', project_id, project_name
from openai_costs.projects
where organization = any(%(organizations)s) and project_name is not null
