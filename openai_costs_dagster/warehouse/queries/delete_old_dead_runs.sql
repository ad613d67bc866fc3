delete from openai_costs.dead_runs where ended_at < %(before)s
