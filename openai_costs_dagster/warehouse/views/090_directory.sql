-- Who and what the ids stand for: the present name, and the names before it.
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
    select distinct on (organization, kind, id) organization, kind, id, name, email, last_seen_at
    from openai_costs.known_names
    order by organization, kind, id, last_seen_at desc
) as present
left join openai_costs.directory_entries as entry using (organization, kind, id)
left join lateral (
    select array_agg(known.name order by known.last_seen_at desc) as names
    from openai_costs.known_names as known
    where
        known.organization = present.organization
        and known.kind = present.kind
        and known.id = present.id
        and known.name is distinct from present.name
) as earlier on true;
