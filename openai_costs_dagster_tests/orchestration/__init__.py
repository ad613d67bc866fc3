"""Ingestion and Dagster, held against a simulated API over real HTTP and a real PostgreSQL."""
