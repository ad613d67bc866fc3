-- Changes of settled days, compared by the dimensions of both versions. A different grouping with equal sums is no
-- restatement, and neither is the growth of a provisional day. GROUP BY treats null as equal to null. The collation "C"
-- compares bytes, which is exact and many times faster. A day whose raw bucket equals the stored one is unchanged and
-- is not compared.
with settled as materialized (
    select
        day.usage_date,
        (
            select string_agg(dimension, ',' order by place)
            from unnest(string_to_array(day.grouping, ',')) with ordinality as old (dimension, place)
            where dimension = any(string_to_array(%(grouping)s, ','))
        ) as compared_by,
        'api_key' = any(string_to_array(day.grouping, ',')) and 'api_key' = any(string_to_array(%(grouping)s, ','))
            as by_api_key,
        'user' = any(string_to_array(day.grouping, ',')) and 'user' = any(string_to_array(%(grouping)s, ','))
            as by_user
    from openai_costs.cost_days as day
    where
        day.organization = %(organization)s
        and day.usage_date between %(first)s and %(last)s
        and not day.provisional
        and not exists (
            select
            from staged_buckets as staged
            where
                staged.usage_date = day.usage_date
                and day.grouping = %(grouping)s
                and staged.digest = (
                    select latest.digest
                    from openai_costs.raw_buckets as latest
                    where
                        latest.organization = %(organization)s
                        and latest.usage_date = day.usage_date
                        and latest.source = 'costs'
                        and latest.grouping = %(grouping)s
                    order by latest.raw_id desc
                    limit 1
                )
        )
),
versions as (
    select
        usage_date, project_id, user_id, api_key_id, line_item, currency,
        amount as old_amount, null::numeric as new_amount
    from openai_costs.cost_rows
    where organization = %(organization)s and usage_date between %(first)s and %(last)s
    union all
    select
        usage_date, project_id, user_id, api_key_id, line_item, currency,
        null::numeric, amount
    from staged_rows
),
compared as (
    select
        version.usage_date,
        version.project_id collate "C" as project_id,
        version.line_item collate "C" as line_item,
        case when settled.by_api_key then version.api_key_id end collate "C" as api_key_id,
        case when settled.by_user then version.user_id end collate "C" as user_id,
        version.currency collate "C" as currency,
        coalesce(sum(version.old_amount), 0) as old_amount,
        coalesce(sum(version.new_amount), 0) as new_amount
    from versions as version
    join settled using (usage_date)
    group by 1, 2, 3, 4, 5, 6
)
insert into openai_costs.revisions (
    organization, usage_date, project_id, line_item, api_key_id, user_id, currency,
    old_amount, new_amount, compared_by, observed_at
)
select
    %(organization)s, compared.usage_date, compared.project_id, compared.line_item, compared.api_key_id,
    compared.user_id, compared.currency, compared.old_amount, compared.new_amount, settled.compared_by, %(now)s
from compared
join settled using (usage_date)
where compared.old_amount <> compared.new_amount
