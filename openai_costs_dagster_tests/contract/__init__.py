"""Tests of the interfaces that users rely on, and of the Dagster and PostgreSQL interfaces that this project uses."""
