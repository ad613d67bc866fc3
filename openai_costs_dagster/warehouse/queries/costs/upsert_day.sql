insert into openai_costs.cost_days (
    organization, usage_date, sync_window_id, grouping, provisional, fetched_at, row_count, received_count,
    absent_amounts, amount_usd, reconciled, reconcile_difference
)
values (
    %(organization)s, %(usage_date)s, %(sync_window_id)s, %(grouping)s, %(provisional)s, %(started_at)s, %(row_count)s,
    %(received_count)s, %(absent_amounts)s, %(amount_usd)s, %(reconciled)s, %(reconcile_difference)s
)
on conflict (organization, usage_date) do update set
    sync_window_id = excluded.sync_window_id,
    grouping = excluded.grouping,
    provisional = excluded.provisional,
    fetched_at = excluded.fetched_at,
    row_count = excluded.row_count,
    received_count = excluded.received_count,
    absent_amounts = excluded.absent_amounts,
    amount_usd = excluded.amount_usd,
    reconciled = excluded.reconciled,
    reconcile_difference = excluded.reconcile_difference
