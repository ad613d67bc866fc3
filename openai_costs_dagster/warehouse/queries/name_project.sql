insert into openai_costs.projects (organization, project_id, project_name, seen_at)
values (%(organization)s, %(project_id)s, %(project_name)s, %(seen_at)s)
on conflict (organization, project_id) do update
set project_name = excluded.project_name, seen_at = excluded.seen_at
where projects.seen_at <= excluded.seen_at and projects.project_name <> excluded.project_name
