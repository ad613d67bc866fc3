delete from openai_costs.sync_windows where organization = %(organization)s
