-- Budgets that are not configured any more.
delete from openai_costs.budget_states
where organization = %(organization)s and budget <> all (%(budgets)s::text[])
