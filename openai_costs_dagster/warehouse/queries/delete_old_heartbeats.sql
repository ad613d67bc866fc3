delete from openai_costs.heartbeats where day < %(before)s
