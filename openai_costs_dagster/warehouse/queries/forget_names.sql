delete from openai_costs.known_names where kind = 'user' and id = %(user_id)s
