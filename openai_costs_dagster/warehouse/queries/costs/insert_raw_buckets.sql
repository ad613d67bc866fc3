-- A raw bucket that equals the latest stored one is not stored again.
insert into openai_costs.raw_buckets (
    organization, usage_date, source, grouping, provisional, fetched_at, digest, body
)
select
    %(organization)s, staged.usage_date, %(source)s, %(grouping)s, staged.usage_date = any(%(provisional)s::date[]),
    %(started_at)s, staged.digest, staged.body
from staged_buckets as staged
where staged.digest is distinct from (
    select latest.digest
    from openai_costs.raw_buckets as latest
    where
        latest.organization = %(organization)s
        and latest.usage_date = staged.usage_date
        and latest.source = %(source)s
        and latest.grouping = %(grouping)s
    order by latest.raw_id desc
    limit 1
)
