insert into openai_costs.directory_entries (organization, kind, id, project_id, owner_id, status, observed_at)
values (%(organization)s, %(kind)s, %(id)s, %(project_id)s, %(owner_id)s, %(status)s, %(now)s)
on conflict (organization, kind, openai_costs.text_key(id)) do update set
    project_id = excluded.project_id,
    owner_id = excluded.owner_id,
    status = excluded.status,
    observed_at = excluded.observed_at
