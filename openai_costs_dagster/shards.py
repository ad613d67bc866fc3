"""Dagster's doors where there are very many organizations: `part_1_of_10` … `part_10_of_10`, a code location each.

In a workspace file: `python_module: {module_name: openai_costs_dagster.parts, attribute: part_1_of_10}`.
"""

import re
from functools import cache

from openai_costs_dagster import configuration
from openai_costs_dagster.orchestration.build import build_definitions
from openai_costs_dagster.orchestration.runtime.gc_tuning import spare_the_collector
from openai_costs_dagster.orchestration.sharding import Part

_NAME = re.compile(r"part_(\d+)_of_(\d+)")


def __getattr__(name: str) -> object:
    asked = _NAME.fullmatch(name)
    if not asked:
        raise AttributeError(f"{name!r} is no part: write part_1_of_10, part_2_of_10 and so on")
    return _definitions(Part(int(asked[1]), int(asked[2])))


@cache  # Dagster asks for the attribute four times in each run
def _definitions(part: Part) -> object:
    spare_the_collector()
    return build_definitions(configuration.load(), part=part)
