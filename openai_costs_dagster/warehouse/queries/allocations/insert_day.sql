insert into openai_costs.allocation_days (
    organization, usage_date, sync_window_id, allocated_at, gross_usd, to_users_usd, to_keys_usd,
    unsplit_line_items
)
values (
    %(organization)s, %(usage_date)s, %(sync_window_id)s, %(now)s, %(gross_usd)s, %(to_users_usd)s, %(to_keys_usd)s,
    %(unsplit_line_items)s
)
