-- What changed in settled days, compared over the dimensions that both versions were grouped by: finer or coarser
-- detail with equal sums is no restatement, and neither is the growth of a provisional day. Grouping makes null
-- equal null.
with settled as (
    select
        day.usage_date,
        array(
            select dimension
            from unnest(string_to_array(day.grouping, ',')) with ordinality as old (dimension, place)
            where dimension = any(string_to_array(%(grouping)s, ','))
            order by place
        ) as dimensions
    from openai_costs.cost_days as day
    where
        day.organization = %(organization)s
        and day.usage_date between %(first)s and %(last)s
        and not day.provisional
),
versions as (
    select
        usage_date, project_id, user_id, api_key_id, line_item, currency,
        coalesce(amount, 0) as old_amount, 0::numeric as new_amount
    from openai_costs.cost_rows
    where organization = %(organization)s and usage_date between %(first)s and %(last)s
    union all
    select
        usage_date, project_id, user_id, api_key_id, line_item, currency,
        0::numeric, coalesce(amount, 0)
    from staged_rows
),
compared as (
    select
        version.usage_date,
        case when 'project' = any(settled.dimensions) then version.project_id end as project_id,
        case when 'line_item' = any(settled.dimensions) then version.line_item end as line_item,
        case when 'api_key' = any(settled.dimensions) then version.api_key_id end as api_key_id,
        case when 'user' = any(settled.dimensions) then version.user_id end as user_id,
        version.currency,
        sum(version.old_amount) as old_amount,
        sum(version.new_amount) as new_amount,
        array_to_string(settled.dimensions, ',') as compared_by
    from versions as version
    join settled using (usage_date)
    group by 1, 2, 3, 4, 5, 6, settled.dimensions
)
insert into openai_costs.revisions (
    organization, usage_date, project_id, line_item, api_key_id, user_id, currency,
    old_amount, new_amount, compared_by, observed_at
)
select
    %(organization)s, usage_date, project_id, line_item, api_key_id, user_id, currency,
    old_amount, new_amount, compared_by, %(now)s
from compared
where old_amount <> new_amount
