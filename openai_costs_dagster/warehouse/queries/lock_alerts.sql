-- One writer of an organization's incidents and budgets at a time, until the transaction ends.
select pg_advisory_xact_lock(hashtextextended('openai_costs/alerts/' || %(organization)s, 0))
