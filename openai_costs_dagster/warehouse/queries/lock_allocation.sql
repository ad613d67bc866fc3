select pg_advisory_xact_lock(hashtextextended('openai_costs/allocation/' || %(organization)s, 0))
