"""Alembic migrations of the schema `openai_costs`. `Database.prepare` runs them."""
