"""Dagster's entry point: the definitions of all configured organizations, for `dagster dev -w workspace.yaml`."""

from openai_costs_dagster import configuration
from openai_costs_dagster.orchestration.build import build_definitions
from openai_costs_dagster.orchestration.runtime.gc_tuning import freeze_loaded_objects

freeze_loaded_objects()
defs = build_definitions(configuration.load())
