insert into openai_costs.projects (organization, project_id, project_name, observed_at)
values (%(organization)s, %(project_id)s, %(project_name)s, %(observed_at)s)
on conflict (organization, project_id) do update
set project_name = excluded.project_name, observed_at = excluded.observed_at
where projects.observed_at <= excluded.observed_at and projects.project_name <> excluded.project_name
