"""Tests of openai_costs_dagster. The folders mirror the packages of the source."""
