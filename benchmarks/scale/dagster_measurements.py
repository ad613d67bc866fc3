"""Measures one activity of Dagster in a new process: loading definitions, evaluating the refresh sensor, or a run.

`python -m benchmarks.scale.dagster_measurements load|tick|run ORGANIZATIONS SHARD SHARDS [DATABASE_URL BASE_URL]`
prints the measurements as JSON.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

STARTED_AT = time.process_time()
FIRST = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=399)
SIMULATED = "simulated"
SIMULATED_INDEX = 1  # The simulated organization is in the second shard. A single organization has index 0.
KEY = "SCALE_KEY"

_WITHOUT_TELEMETRY = {"telemetry": {"enabled": False}}


def main() -> None:
    """Print the measurements in CPU seconds and MiB."""
    activity, organizations, number, count, *addresses = sys.argv[1:]
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    measurements = _MEASURES[activity](int(organizations), int(number), int(count), *addresses)
    measurements["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(measurements))


def _load(organizations: int, number: int, count: int, *addresses: str) -> dict[str, float]:
    """Measure how a code server builds its definitions and serializes them for the webserver and the daemon."""
    from dagster._core.remote_representation.external_data import RepositorySnap
    from dagster_shared.serdes import serialize_value

    imported_at = time.process_time()
    repository = _definitions(organizations, number, count, *addresses).get_repository_def()
    repository.get_implicit_global_asset_job_def()
    loaded_at = time.process_time()
    serialized = serialize_value(RepositorySnap.from_def(repository))
    return {
        "import": imported_at - STARTED_AT,
        "load": loaded_at - imported_at,
        "send": time.process_time() - loaded_at,
        "sent_megabytes": len(serialized) / 1e6,
    }


def _tick(organizations: int, number: int, count: int, *addresses: str) -> dict[str, float]:
    """Measure two evaluations of all conditions: the first requests all history, the second requests nothing."""
    import dagster as dg

    definitions = _definitions(organizations, number, count, *addresses)
    noon = dt.datetime.now(dt.UTC).replace(hour=12, minute=10, second=0, microsecond=0)
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder, _WITHOUT_TELEMETRY) as instance:
        started_at = time.process_time()
        first = dg.evaluate_automation_conditions(definitions, instance, evaluation_time=noon)
        requested_at = time.process_time()
        dg.evaluate_automation_conditions(
            definitions, instance, evaluation_time=noon + dt.timedelta(seconds=30), cursor=first.cursor
        )
        ended_at = time.process_time()
    keys = [key for key in definitions.resolve_asset_graph().executable_asset_keys if key.path[-1] == "costs"]
    return {
        "first": requested_at - started_at,
        "no_op": ended_at - requested_at,
        "requested": sum(bool(first.get_requested_partitions(key)) for key in keys),
    }


def _run(organizations: int, number: int, count: int, *addresses: str) -> dict[str, float]:
    """Measure a run, which loads the definitions and then synchronizes the trailing days of one organization."""
    import dagster as dg

    from openai_costs_dagster.days import DayRange
    from openai_costs_dagster.orchestration.build import partitioned_asset_keys
    from openai_costs_dagster.orchestration.partitions import range_tags

    imported_at = time.process_time()
    configuration = _configuration(organizations, *addresses)
    job = (
        _definitions(organizations, number, count, *addresses).get_repository_def().get_implicit_global_asset_job_def()
    )
    loaded_at = time.process_time()
    today = dt.datetime.now(dt.UTC).date()
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder, _WITHOUT_TELEMETRY) as instance:
        # Create the tables of the storage before the measurement, because a run in production never creates them.
        instance.get_runs(limit=1)
        started_at = time.process_time()
        result = job.execute_in_process(
            instance=instance,
            asset_selection=partitioned_asset_keys(configuration.organization(SIMULATED)),
            tags=range_tags(DayRange(today - dt.timedelta(days=3), today)),
        )
    assert result.success
    return {
        "import": imported_at - STARTED_AT,
        "load": loaded_at - imported_at,
        "run": time.process_time() - started_at,
    }


_MEASURES = {"load": _load, "tick": _tick, "run": _run}


def _configuration(organizations: int, database_url: str = "", base_url: str = "") -> Any:
    """Return a configuration with `organizations` organizations, one of which the simulator serves."""
    from openai_costs_dagster.configuration import from_mapping

    folder = Path(tempfile.gettempdir())
    named: dict[str, Any] = {
        _name(index, organizations): {"admin_key": {"env": f"{KEY}_{index}"}, "start_date": FIRST}
        for index in range(organizations)
    }
    if base_url:
        named[SIMULATED] |= {"admin_key": {"env": KEY}, "base_url": base_url}
    settings: dict[str, Any] = {"organizations": named, "data_directory": str(folder / "openai-costs-scale")}
    if database_url:
        settings["database"] = {"url": {"env": "SCALE_DATABASE_URL"}}
    return from_mapping(settings, "the benchmark", folder)


def _name(index: int, organizations: int) -> str:
    return SIMULATED if index == min(SIMULATED_INDEX, organizations - 1) else f"org{index:04}"


def _definitions(organizations: int, number: int, count: int, *addresses: str) -> Any:
    from openai_costs_dagster.orchestration.build import build_definitions
    from openai_costs_dagster.orchestration.sharding import Shard

    return build_definitions(_configuration(organizations, *addresses), shard=Shard(number, count))


if __name__ == "__main__":
    main()
