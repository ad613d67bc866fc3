"""Postgres: tables, migrations, loading, views. Knows neither Dagster nor HTTP, and decides nothing about money."""
