"""Synchronization: fetch costs, usage and names from OpenAI and store them. Never imports Dagster."""
