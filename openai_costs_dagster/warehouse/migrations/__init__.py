"""Alembic's scripts; `database.prepare` runs them."""
