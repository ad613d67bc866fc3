insert into openai_costs.usage_days (
    organization, usage_date, operation, provisional, fetched_at, row_count, grouping
)
values (
    %(organization)s, %(usage_date)s, %(operation)s, %(provisional)s, %(started_at)s, %(row_count)s, %(grouping)s
)
on conflict (organization, usage_date, operation) do update set
    provisional = excluded.provisional,
    fetched_at = excluded.fetched_at,
    row_count = excluded.row_count,
    grouping = excluded.grouping
