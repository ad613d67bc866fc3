select max(last_tick_at)
from openai_costs.sensor_ticks
where sensor = %(sensor)s and location = %(location)s
