-- Stores the error of a failed tick. The time of the last completed tick stays unchanged.
update openai_costs.sensor_ticks
set last_error = %(last_error)s
where location = %(location)s and host = %(host)s and sensor = %(sensor)s
