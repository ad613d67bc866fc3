select project_id, project_name from openai_costs.projects where organization = %(organization)s
