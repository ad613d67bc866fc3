"""Measures one daily refresh of `openai-costs up` with very many organizations and a year of stored history.

The measurements are the time until the UI responds, the time until all runs are queued and finished, the number of
failures, and the loading time of pages of the Dagster UI during and after the runs.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import psycopg

from benchmarks.scale.page_times import page_times
from openai_costs_dagster.cli.webserver_address import free_port
from openai_costs_dagster.orchestration.sharding import shards
from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

_PROGRAM = Path(sys.executable).with_name("openai-costs")
_ROOT = Path(__file__).resolve().parents[2]
_DAYS, _ROWS = 400, 10
_TIME_TO_TICK = dt.timedelta(minutes=5)  # The code servers must have loaded and the sensor must have run once.
_TIMEOUT_S = 3 * 60 * 60.0
_IDLE_S = 120.0  # After this time without a new or finished run, the refresh counts as complete.
_RUNS = """
with daily as (
    select runs.* from openai_costs_dagster.runs join openai_costs_dagster.run_tags using (run_id)
    where key = 'dagster/asset_partition_range_end' and value = %s
)
select
    count(*) filter (where status = 'FAILURE') as failed,
    count(*) filter (where status = 'SUCCESS') as succeeded,
    count(*) as runs,
    extract(epoch from max(create_timestamp at time zone 'utc'))::float as queued_at,
    max(end_time) as ended_at,
    avg(end_time - start_time) as run_seconds
from daily
"""
_ORGANIZATIONS_OF_DAY = "select count(distinct organization) from openai_costs.cost_days where usage_date = %s"


@dataclass(frozen=True)
class Morning:
    """The measurements of a daily refresh. Times are in seconds of wall time since the tick, unless noted."""

    organizations: int
    locations: int
    """The number of code locations."""
    up: float
    """Time from the command `openai-costs up` to the first response of the UI."""
    queued: float
    """Time until the last run was queued."""
    ended: float
    """Time until the last run had ended."""
    runs: int
    failed: int
    read: int
    """The number of organizations with a row for today."""
    run: float
    """The mean duration of a run, while the maximum number of runs is active."""
    memory: float
    """Memory of the webserver, the daemon and all code servers before the tick, in MiB. Shared memory counts once."""
    during: Mapping[str, float]
    """Loading time of each page after half of the runs, in seconds."""
    after: Mapping[str, float]
    """Loading time of each page after all runs, in seconds."""


def measure_morning(organizations: int) -> Morning:
    """Run one daily refresh in a temporary folder and return its measurements."""
    names = [f"org{number:04}" for number in range(1, organizations + 1)]
    simulated = [
        SimulatedOrganization(name=name, organization_id=f"org-{name}", admin_key=_key(name), seed=number)
        for number, name in enumerate(names)
    ]
    with _folder() as folder, Simulator(simulated) as simulator:
        project = _Project(folder, names, simulator.base_url)
        project.configure("0 0 1 1 *")
        try:
            project.call("prepare")
            project.call(
                "exec", sys.executable, "-m", "benchmarks.scale.history", *map(str, (organizations, _DAYS, _ROWS))
            )
            tick = (dt.datetime.now(dt.UTC) + _TIME_TO_TICK).replace(second=0, microsecond=0)
            project.configure(f"{tick.minute} {tick.hour} * * *")
            port = free_port()
            with project.up(port) as process:
                return _Refresh(project, process, f"http://127.0.0.1:{port}", tick).measure()
        finally:
            project.call("down")


class _Project:
    """A working directory of `openai-costs` with a configuration, an environment and the embedded server."""

    def __init__(self, folder: Path, names: list[str], base_url: str) -> None:
        self.folder = folder
        self.names = names
        self._base_url = base_url
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(_ROOT),
            **{f"{name.upper()}_KEY": _key(name) for name in names},
        }

    @property
    def database_url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.folder}/.openai-costs/postgres"

    def configure(self, cron: str) -> None:
        first = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=_DAYS)
        organizations = {
            name: {
                "admin_key": {"env": f"{name.upper()}_KEY"},
                "base_url": self._base_url,
                "start_date": str(first),
            }
            for name in self.names
        }
        refresh = {"cron": cron, "deep_cron": "0 0 1 1 *", "intraday_minutes": None}
        text = json.dumps({"organizations": organizations, "refresh": refresh})  # Every JSON document is YAML.
        (self.folder / "openai_costs.yaml").write_text(text, encoding="utf-8")

    def call(self, *command: str) -> None:
        subprocess.run([_PROGRAM, *command], cwd=self.folder, env=self._environment, check=True)

    @contextmanager
    def up(self, port: int) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / "up.log").open("wb") as log:
            process = subprocess.Popen(
                [_PROGRAM, "up", "--port", str(port)],
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                yield process
            finally:
                self.call("down")
                process.wait()


class _Refresh:
    """A daily refresh of a running `openai-costs up`."""

    def __init__(self, project: _Project, process: subprocess.Popen[bytes], url: str, tick: dt.datetime) -> None:
        self._project = project
        self._process = process
        self._url = url
        self._tick = tick.timestamp()
        self._started = time.monotonic()

    def measure(self) -> Morning:
        self._wait_until(self._responds)
        time_to_response = time.monotonic() - self._started
        self._wait_until(lambda: time.time() > self._tick)
        memory = self._memory()
        count = len(self._project.names)
        self._wait_until(lambda: self._runs()["succeeded"] + self._runs()["failed"] >= count / 2)
        during = page_times(self._url, self._project.names[count // 2])
        self._wait_until(self._all_runs_ended)
        runs = self._runs()
        return Morning(
            organizations=count,
            locations=len(shards(count)),
            up=time_to_response,
            queued=runs["queued_at"] - self._tick,
            ended=runs["ended_at"] - self._tick,
            runs=round(runs["runs"]),
            failed=round(runs["failed"]),
            read=self._stored_organizations(),
            run=runs["run_seconds"],
            memory=memory,
            during=during,
            after=page_times(self._url, self._project.names[count // 2]),
        )

    def _responds(self) -> bool:
        with suppress(httpx2.HTTPError):
            return httpx2.get(f"{self._url}/server_info", timeout=5, trust_env=False).status_code == 200
        return False

    def _all_runs_ended(self) -> bool:
        runs = self._runs()
        is_idle = time.time() - max(runs["queued_at"], runs["ended_at"]) > _IDLE_S
        return runs["succeeded"] + runs["failed"] == runs["runs"] >= len(self._project.names) and is_idle

    def _runs(self) -> dict[str, float]:
        with psycopg.connect(self._project.database_url, row_factory=psycopg.rows.dict_row) as connection:
            (runs,) = connection.execute(_RUNS, [str(dt.datetime.now(dt.UTC).date())]).fetchall()
        return {name: float(value or 0) for name, value in runs.items()}

    def _stored_organizations(self) -> int:
        with psycopg.connect(self._project.database_url) as connection:
            ((count,),) = connection.execute(_ORGANIZATIONS_OF_DAY, [dt.datetime.now(dt.UTC).date()]).fetchall()
        return int(count)

    def _memory(self) -> float:
        processes = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]
        return sum(process.memory_full_info().pss for process in processes if "postgres" not in process.name()) / 2**20

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._process.poll() is not None or time.monotonic() - self._started > _TIMEOUT_S:
                raise RuntimeError((self._project.folder / "up.log").read_text(encoding="utf-8")[-2_000:])
            time.sleep(2)


@contextmanager
def _folder() -> Iterator[Path]:
    """Create a folder with a path short enough for a Unix socket, which the user of the server can read."""
    folder = Path(tempfile.mkdtemp(prefix="oc-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _key(name: str) -> str:
    return f"sk-admin-{name}"
