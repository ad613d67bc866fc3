select line_item, service, category, subcategory, model, surface, modality, long_context
from openai_costs.line_items
where line_item = any(%(labels)s::text[])
