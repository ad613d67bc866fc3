"""Dagster's entry point: the definitions of all configured organizations, for `dagster dev -w workspace.yaml`."""

from openai_costs_dagster import configuration
from openai_costs_dagster.orchestration.build import build_definitions
from openai_costs_dagster.orchestration.runtime.gc_tuning import freeze_loaded_objects

# All imported modules live as long as the process, so that the garbage collector need not traverse them.
freeze_loaded_objects()
defs = build_definitions(configuration.load())
