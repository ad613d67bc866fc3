"""Measures in a new process: loading definitions, evaluating the refresh sensor, and one run. Prints JSON.

`python -m benchmarks.scale.dagster_side load|tick|run ORGANIZATIONS PART COUNT [DATABASE_URL BASE_URL]`
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

BEGUN = time.process_time()
FIRST = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=399)
SIMULATED = "simulated"
PLACE = 1  # its place: in the second part, where there are several; the only one has place 0
KEY = "SCALE_KEY"

_QUIET = {"telemetry": {"enabled": False}}


def main() -> None:
    """Print the measurements in CPU seconds and MiB."""
    what, organizations, number, count, *where = sys.argv[1:]
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    measured = _MEASURED[what](int(organizations), int(number), int(count), *where)
    measured["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(measured))


def _load(organizations: int, number: int, count: int, *where: str) -> dict[str, float]:
    """Measure a code server: building definitions, and encoding them for the webserver and the daemon."""
    from dagster._core.remote_representation.external_data import RepositorySnap
    from dagster_shared.serdes import serialize_value

    imported = time.process_time()
    repository = _definitions(organizations, number, count, *where).get_repository_def()
    repository.get_implicit_global_asset_job_def()
    loaded = time.process_time()
    sent = serialize_value(RepositorySnap.from_def(repository))
    return {
        "import": imported - BEGUN,
        "load": loaded - imported,
        "send": time.process_time() - loaded,
        "sent_megabytes": len(sent) / 1e6,
    }


def _tick(organizations: int, number: int, count: int, *where: str) -> dict[str, float]:
    """Measure two evaluations: the first one, which requests all history, and a no-op evaluation."""
    import dagster as dg

    definitions = _definitions(organizations, number, count, *where)
    noon = dt.datetime.now(dt.UTC).replace(hour=12, minute=10, second=0, microsecond=0)
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder, _QUIET) as instance:
        begun = time.process_time()
        first = dg.evaluate_automation_conditions(definitions, instance, evaluation_time=noon)
        asked = time.process_time()
        dg.evaluate_automation_conditions(
            definitions, instance, evaluation_time=noon + dt.timedelta(seconds=30), cursor=first.cursor
        )
        quiet = time.process_time()
    keys = [key for key in definitions.resolve_asset_graph().executable_asset_keys if key.path[-1] == "costs"]
    return {
        "first": asked - begun,
        "quiet": quiet - asked,
        "asked_for": sum(bool(first.get_requested_partitions(key)) for key in keys),
    }


def _run(organizations: int, number: int, count: int, *where: str) -> dict[str, float]:
    """Measure a run: loading definitions, then reading and storing the trailing days of one organization."""
    import dagster as dg

    from openai_costs_dagster.days import DayRange
    from openai_costs_dagster.orchestration.build import partitioned_asset_keys
    from openai_costs_dagster.orchestration.partitions import range_tags

    imported = time.process_time()
    configuration = _configuration(organizations, *where)
    job = _definitions(organizations, number, count, *where).get_repository_def().get_implicit_global_asset_job_def()
    loaded = time.process_time()
    today = dt.datetime.now(dt.UTC).date()
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder, _QUIET) as instance:
        instance.get_runs(limit=1)
        begun = time.process_time()  # a run finds its storage made
        done = job.execute_in_process(
            instance=instance,
            asset_selection=partitioned_asset_keys(configuration.organization(SIMULATED)),
            tags=range_tags(DayRange(today - dt.timedelta(days=3), today)),
        )
    assert done.success
    return {"import": imported - BEGUN, "load": loaded - imported, "run": time.process_time() - begun}


_MEASURED = {"load": _load, "tick": _tick, "run": _run}


def _configuration(organizations: int, database_url: str = "", base_url: str = "") -> Any:
    """Return a configuration with `organizations` organizations. Only the simulated one is requested."""
    from openai_costs_dagster.configuration import from_mapping

    folder = Path(tempfile.gettempdir())
    named: dict[str, Any] = {
        _name(place, organizations): {"admin_key": {"env": f"{KEY}_{place}"}, "start_date": FIRST}
        for place in range(organizations)
    }
    if base_url:
        named[SIMULATED] |= {"admin_key": {"env": KEY}, "base_url": base_url}
    settings: dict[str, Any] = {"organizations": named, "data_directory": str(folder / "openai-costs-scale")}
    if database_url:
        settings["database"] = {"url": {"env": "SCALE_DATABASE_URL"}}
    return from_mapping(settings, "the benchmark", folder)


def _name(place: int, organizations: int) -> str:
    return SIMULATED if place == min(PLACE, organizations - 1) else f"org{place:04}"


def _definitions(organizations: int, number: int, count: int, *where: str) -> Any:
    from openai_costs_dagster.orchestration.build import build_definitions
    from openai_costs_dagster.orchestration.sharding import Shard

    return build_definitions(_configuration(organizations, *where), shard=Shard(number, count))


if __name__ == "__main__":
    main()
