"""Dagster runs that the command line starts, ends or deletes."""
