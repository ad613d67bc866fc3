-- Deletes the states of budgets that are no longer configured.
delete from openai_costs.budget_states
where organization = %(organization)s and budget <> all (%(budgets)s::text[])
