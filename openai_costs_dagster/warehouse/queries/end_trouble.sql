delete from openai_costs.open_failures where organization = %(organization)s and kind = %(kind)s
