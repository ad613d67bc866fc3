select line_item from openai_costs.line_items where rules_version < %(rules_version)s order by line_item
