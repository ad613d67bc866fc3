delete from openai_costs.anomaly_findings where organization = %(organization)s
