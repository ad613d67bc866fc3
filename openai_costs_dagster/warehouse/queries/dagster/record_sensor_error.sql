-- A tick that did not complete: the time of the last completed one stays.
update openai_costs.sensor_ticks
set last_error = %(last_error)s
where location = %(location)s and host = %(host)s and sensor = %(sensor)s
