"""The Alembic migrations of the database schema `openai_costs`. `Database.prepare` runs the migrations."""
