insert into openai_costs.sync_windows (
    organization, first_day, last_day, grouping, requests, started_at, stored_at, trigger, run_id
)
values (
    %(organization)s, %(first)s, %(last)s, %(grouping)s, %(requests)s, %(started_at)s, %(now)s, %(trigger)s, %(run_id)s
)
returning sync_window_id
