"""Dagster's door: `dagster dev -w workspace.yaml` loads this module."""

from openai_costs_dagster import configuration
from openai_costs_dagster.orchestration.build import build_definitions
from openai_costs_dagster.orchestration.runtime.gc_tuning import spare_the_collector

spare_the_collector()
defs = build_definitions(configuration.load())
