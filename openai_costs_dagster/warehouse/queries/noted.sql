select value from openai_costs.program where key = %(key)s
