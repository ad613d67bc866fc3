select usage_date, usage_model, billed_model
from openai_costs.model_names
where organization = %(organization)s and usage_date = any(%(days)s::date[]) and usage_model <> billed_model
