delete from openai_costs.absences where organization = %(organization)s and what = %(what)s
