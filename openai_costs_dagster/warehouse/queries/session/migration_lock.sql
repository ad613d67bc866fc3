-- One process migrates, the others wait here until it has committed.
select pg_advisory_xact_lock(hashtextextended('openai_costs/migration', 0))
