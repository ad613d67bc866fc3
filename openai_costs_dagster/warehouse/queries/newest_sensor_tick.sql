select max(last_tick_at) from openai_costs.sensor_ticks where location = any (%(locations)s)
