-- As elsewhere, a key's name that holds an address is not shown: the texts that it would stand in outlive it.
select 'project' as kind, project_id as id, project_name as name
from openai_costs.projects
where organization = %(organization)s and project_name <> ''
union all
(
    select distinct on (kind, id) kind, id, name
    from openai_costs.directory_names
    where
        organization = %(organization)s
        and (kind = 'user' or (kind = 'api_key' and name not like '%%@%%'))
        and name <> ''
    order by kind, id, last_seen_at desc
)
