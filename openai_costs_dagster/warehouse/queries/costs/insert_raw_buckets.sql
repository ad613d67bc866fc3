-- The same bytes as the newest kept ones are not kept twice.
insert into openai_costs.raw_buckets (
    organization, usage_date, source, grouping, provisional, fetched_at, digest, body
)
select
    %(organization)s, staged.usage_date, %(source)s, %(grouping)s, staged.usage_date = any(%(provisional)s::date[]),
    %(started_at)s, staged.digest, staged.body
from staged_buckets as staged
where staged.digest is distinct from (
    select kept.digest
    from openai_costs.raw_buckets as kept
    where
        kept.organization = %(organization)s
        and kept.usage_date = staged.usage_date
        and kept.source = %(source)s
        and kept.grouping = %(grouping)s
    order by kept.raw_id desc
    limit 1
)
