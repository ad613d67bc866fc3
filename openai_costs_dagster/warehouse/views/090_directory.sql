-- Current and earlier names of projects, users and API keys.
create or replace view openai_costs.directory as
select
    present.organization,
    present.kind,
    present.id,
    present.name,
    present.email,
    entry.project_id,
    entry.owner_id,
    entry.status,
    earlier.names as earlier_names,
    present.last_seen_at
from (
    select
        organization,
        kind,
        id,
        (array_agg(name order by last_seen_at desc) filter (where name is not null))[1] as name,
        (array_agg(email order by last_seen_at desc) filter (where email is not null))[1] as email,
        max(last_seen_at) as last_seen_at
    from openai_costs.directory_names
    group by organization, kind, id
) as present
left join openai_costs.directory_entries as entry using (organization, kind, id)
left join lateral (
    select array_agg(known.name order by known.last_seen_at desc) as names
    from (
        select name, max(last_seen_at) as last_seen_at
        from openai_costs.directory_names
        where
            organization = present.organization
            and kind = present.kind
            and openai_costs.text_key(id) = openai_costs.text_key(present.id)
            and name <> present.name
        group by name
    ) as known
) as earlier on true;
