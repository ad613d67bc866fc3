delete from openai_costs.sensor_ticks where last_tick_at < %(before)s
