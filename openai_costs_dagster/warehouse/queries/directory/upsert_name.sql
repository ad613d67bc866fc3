insert into openai_costs.directory_names (organization, kind, id, name, email, first_seen_at, last_seen_at)
select %(organization)s, %(kind)s, %(id)s, %(name)s, %(email)s, %(now)s, %(now)s
where not exists (
    select from openai_costs.forgotten_users where %(kind)s = 'user' and user_id = %(id)s
)
on conflict (organization, kind, openai_costs.text_key(id), openai_costs.text_key(name), openai_costs.text_key(email))
do update set last_seen_at = excluded.last_seen_at
