insert into openai_costs.sensor_ticks
    (location, host, sensor, organizations, interval_seconds, last_tick_at, last_error)
values
    (
        %(location)s, %(host)s, %(sensor)s, %(organizations)s, %(interval_seconds)s, %(last_tick_at)s, %(last_error)s
    )
on conflict (location, host, sensor) do update set
    organizations = excluded.organizations,
    interval_seconds = excluded.interval_seconds,
    last_tick_at = greatest(sensor_ticks.last_tick_at, excluded.last_tick_at),
    last_error = excluded.last_error
