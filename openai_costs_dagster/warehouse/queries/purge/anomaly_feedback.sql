delete from openai_costs.anomaly_feedback where organization = %(organization)s
