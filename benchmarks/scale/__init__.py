"""Benchmarks with many organizations in Dagster and many rows in PostgreSQL."""
