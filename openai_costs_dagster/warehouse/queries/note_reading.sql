insert into openai_costs.readings (
    organization, first_day, last_day, grouping, requests, started_at, stored_at, asked_by, run_id
)
values (
    %(organization)s, %(first)s, %(last)s, %(grouping)s, %(requests)s, %(started_at)s, %(now)s, %(asked_by)s, %(run_id)s
)
returning reading_id
