delete from openai_costs.troubles where organization = %(organization)s and what = %(what)s
