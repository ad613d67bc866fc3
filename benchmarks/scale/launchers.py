"""`python -m benchmarks.scale.launchers [ORGANIZATIONS …]`: CPU seconds of an ordinary run with both run launchers.

An ordinary run materializes the last four UTC days of one simulated organization, with all checks. Its CPU time
contains the import of Dagster and the loading of the definitions, unless the fork server did both before.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import dagster as dg
import psutil
import yaml
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._grpc.client import DagsterGrpcClient

from openai_costs_dagster.configuration import Configuration, read_file
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.orchestration.build import build_definitions, partitioned_asset_keys
from openai_costs_dagster.orchestration.partitions import range_tags
from openai_costs_dagster.orchestration.runtime import instance as dagster_instance
from openai_costs_dagster.orchestration.runtime.process_id import PROCESS_TAG, of_run
from openai_costs_dagster.simulator import SimulatedOrganization, Simulator
from openai_costs_dagster.warehouse import embedded
from openai_costs_dagster.warehouse.database import Database

_KEY = "SCALE_KEY"
_SIMULATED = "simulated"
_LOCATION = "openai_costs"
_RUNS = 7
_DAYS = 4
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print one line for each number of organizations and each run launcher."""
    for organizations in map(int, sys.argv[1:] or ("3", "50", "250")):
        for threshold, name in ((sys.maxsize, "default"), (1, "fork server")):
            dagster_instance.FORK_FROM_ORGANIZATIONS = threshold
            seconds = _measure(organizations, forks=threshold == 1)
            figures = ", ".join(f"{value:.2f}" for value in seconds)
            print(f"{organizations} organizations, {name}: median {median(seconds):.2f} CPU s ({figures})", flush=True)


def _measure(organizations: int, *, forks: bool) -> list[float]:
    simulated = SimulatedOrganization(api_keys_from=None, users_with_projects_served=True)
    os.environ[_KEY] = simulated.admin_key
    os.environ.pop("DAGSTER_HOME", None)  # set by the measurement before
    with tempfile.TemporaryDirectory() as name, Simulator([simulated]) as simulator, _database(Path(name)) as database:
        folder = Path(name)
        configuration = _configuration(folder, organizations, simulator.base_url, database)
        os.environ |= dagster_instance.environment(configuration, database)
        dagster_instance.prepare(database)
        with dg.DagsterInstance.get() as instance, _code_server(folder) as server:
            socket = str(folder / "code.sock")
            target = GrpcServerTarget(host="localhost", port=None, socket=socket, location_name=_LOCATION)
            with WorkspaceProcessContext(instance, target) as workspace:
                seconds = [_run(instance, configuration, workspace, server, forks=forks) for _ in range(_RUNS + 1)]
    return seconds[1:]  # The first run creates tables and loads definitions into the fork server.


@contextmanager
def _database(folder: Path) -> Iterator[Database]:
    database = Database(embedded.start(folder / "server"))
    try:
        yield database
    finally:
        embedded.stop(folder / "server")


def _configuration(folder: Path, organizations: int, base_url: str, database: Database) -> Configuration:
    first = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=399)
    named: dict[str, Any] = {
        f"org{number:04}": {"admin_key": {"env": f"{_KEY}_{number}"}, "start_date": first}
        for number in range(1, organizations)
    }
    named[_SIMULATED] = {"admin_key": {"env": _KEY}, "start_date": first, "base_url": base_url}
    os.environ["SCALE_DATABASE_URL"] = database.url
    file = folder / "openai_costs.yaml"
    settings = {"organizations": named, "database": {"url": {"env": "SCALE_DATABASE_URL"}}}
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    os.environ["OPENAI_COSTS_CONFIG"] = str(file)
    return read_file(file)


@contextmanager
def _code_server(folder: Path) -> Iterator[psutil.Process]:
    socket = str(folder / "code.sock")
    module = ["-m", "openai_costs_dagster.definitions", "--location-name", _LOCATION]
    command = [sys.executable, "-m", "dagster", "api", "grpc", "--socket", socket, "--log-level", "error", *module]
    with subprocess.Popen(command) as process:
        client = DagsterGrpcClient(socket=socket)
        while not Path(socket).exists():
            time.sleep(0.5)
        while client.health_check_query() != "SERVING":  # type: ignore[no-untyped-call]
            time.sleep(0.5)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def _run(
    instance: dg.DagsterInstance,
    configuration: Configuration,
    process_context: WorkspaceProcessContext,
    server: psutil.Process,
    *,
    forks: bool,
) -> float:
    """Execute one run and return the CPU seconds of its process, including the part of a fork server."""
    workspace = process_context.create_request_context()
    job = workspace.get_code_location(_LOCATION).get_repository("__repository__").get_full_job("__ASSET_JOB")
    keys = partitioned_asset_keys(configuration.organization(_SIMULATED))
    today = dt.datetime.now(dt.UTC).date()
    definition = build_definitions(configuration).get_repository_def().get_implicit_global_asset_job_def()
    run_id = instance.create_run_for_job(
        definition.get_subset(asset_selection=set(keys)),
        asset_selection=frozenset(keys),
        tags=range_tags(DayRange(today - dt.timedelta(days=_DAYS - 1), today)),
        remote_job_origin=job.get_remote_origin(),
        job_code_origin=job.get_python_origin(),
    ).run_id
    before = _ticks(server.pid)
    instance.launch_run(run_id, workspace)
    while not (run := instance.get_run_by_id(run_id)) or not run.is_finished:
        time.sleep(0.2)
    assert run.is_success, run.status
    if not forks:
        time.sleep(3)  # The code server reaps its children once a second.
        return (_ticks(server.pid)[1] - before[1]) / _TICKS_PER_SECOND
    process = of_run(run_id, run.tags[PROCESS_TAG])
    assert process
    child = psutil.Process(process.pid)
    while child.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.1)
    return _ticks(child.pid)[0] / _TICKS_PER_SECOND


def _ticks(pid: int) -> tuple[int, int]:
    """Return the CPU ticks of a process and of its children that were reaped."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    own_user, own_system, children_user, children_system = map(int, fields[11:15])
    return own_user + own_system, children_user + children_system


if __name__ == "__main__":
    main()
