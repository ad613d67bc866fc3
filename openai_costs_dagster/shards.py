"""Dagster's entry points for very many organizations: one code location per shard, `shard_1_of_10` to `shard_10_of_10`.

A workspace file of Dagster loads one of these code locations by
`python_module: {module_name: openai_costs_dagster.shards, attribute: shard_1_of_10}`.
"""

import re
from functools import cache

from openai_costs_dagster import configuration
from openai_costs_dagster.orchestration.build import build_definitions
from openai_costs_dagster.orchestration.runtime.gc_tuning import freeze_loaded_objects
from openai_costs_dagster.orchestration.sharding import Shard

_NAME = re.compile(r"shard_(\d+)_of_(\d+)")


# A workspace file names the definitions as an attribute of this module. The number of shards is not known in advance,
# so the attributes are created on access.
def __getattr__(name: str) -> object:
    match = _NAME.fullmatch(name)
    if not match:
        raise AttributeError(f"{name!r} is not a shard: use a name such as shard_1_of_10")
    return _definitions(Shard(int(match[1]), int(match[2])))


@cache  # Definitions are cached, because Dagster reads the attribute four times in each run.
def _definitions(shard: Shard) -> object:
    freeze_loaded_objects()
    return build_definitions(configuration.load(), shard=shard)
