select value from openai_costs.schema_metadata where key = %(key)s
