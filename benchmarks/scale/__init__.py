"""How far it grows: many organizations in Dagster, many rows in PostgreSQL."""
