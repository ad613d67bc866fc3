select location, host, sensor, organizations, interval_seconds, last_tick_at, last_error
from openai_costs.sensor_ticks
order by sensor, last_tick_at desc, location, host
