-- Completeness of a month: stored, provisional and missing days, and rows without an amount.
select
    count(day.usage_date) as stored_days,
    count(*) filter (where day.provisional) as provisional_days,
    count(*) filter (where day.usage_date is null) as missing_days,
    (
        select count(*)
        from openai_costs.cost_rows as cost
        where
            cost.organization = any(%(organizations)s)
            and cost.usage_date between %(first)s and %(last)s
            and cost.amount is null
    ) as left_out
from unnest(%(organizations)s::text[]) as wanted (organization)
left join openai_costs.organizations as known using (organization)
cross join lateral generate_series(
    greatest(%(first)s::date, known.start_date, known.earliest_day), %(last)s::date, interval '1 day'
) as expected (usage_date)
left join openai_costs.cost_days as day
    on day.organization = wanted.organization and day.usage_date = expected.usage_date::date
