delete from openai_costs.absences where organization = %(organization)s
