"""Tests that mirror the rooms of openai_costs_dagster; each is named after the promise that it keeps."""
