select to_regclass('openai_costs.alembic_version') is not null
