-- Spend of the stored days in US dollars. `vanished` is the last amount of a day that has no rows any more.
select
    day.usage_date,
    day.amount_usd,
    day.provisional,
    day.row_count,
    case
        when day.row_count = 0 then (
            select sum(revision.old_amount)
            from openai_costs.revisions as revision
            where
                revision.organization = day.organization
                and revision.usage_date = day.usage_date
                and revision.currency = 'usd'
                and revision.observed_at = (
                    select max(observed_at)
                    from openai_costs.revisions
                    where organization = day.organization and usage_date = day.usage_date
                )
        )
    end as vanished
from openai_costs.cost_days as day
where day.organization = %(organization)s and day.usage_date between %(first)s and %(last)s
order by day.usage_date
