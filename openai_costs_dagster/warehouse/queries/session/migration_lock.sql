-- One process migrates. Other processes wait for this lock until the migration has committed.
select pg_advisory_xact_lock(hashtextextended('openai_costs/migration', 0))
