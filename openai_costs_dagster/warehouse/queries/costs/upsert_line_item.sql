insert into openai_costs.line_items (
    line_item, service, category, subcategory, model, surface, modality, long_context, rules_version
)
values (
    %(line_item)s, %(service)s, %(category)s, %(subcategory)s, %(model)s, %(surface)s, %(modality)s,
    %(long_context)s, %(rules_version)s
)
on conflict (line_item) do update set
    service = excluded.service,
    category = excluded.category,
    subcategory = excluded.subcategory,
    model = excluded.model,
    surface = excluded.surface,
    modality = excluded.modality,
    long_context = excluded.long_context,
    rules_version = excluded.rules_version
where line_items.rules_version < excluded.rules_version
