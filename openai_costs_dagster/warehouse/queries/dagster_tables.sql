select tablename from pg_catalog.pg_tables where schemaname = 'openai_costs_dagster'
