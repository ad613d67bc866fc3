"""Tests of the Dagster definitions with a simulated API over HTTP and a real PostgreSQL server."""
