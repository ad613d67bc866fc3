"""Access to the PostgreSQL database: its tables, migrations and views, and functions that read and write rows.

The package imports neither Dagster nor the HTTP client. It only stores amounts; `openai_costs_dagster.spend` computes
amounts from other amounts.
"""
