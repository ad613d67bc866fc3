-- Names of API keys that contain an email address are excluded, because forget-user could not delete the address from
-- all texts that show the name.
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
