"""Measures `openai-costs up` with very many organizations, a year of history in both storages, and one daily tick.

It measures the time until the UI answers, until all runs are queued and finished, the number of failures, and the time
of Dagster's pages during and after the runs.
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

from benchmarks.scale.ui import look
from openai_costs_dagster.cli.dagster_dev import free_port
from openai_costs_dagster.orchestration.sharding import shards
from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

_PROGRAM = Path(sys.executable).with_name("openai-costs")
_ROOT = Path(__file__).resolve().parents[2]
_DAYS, _ROWS = 400, 10
_UNTIL_THE_TICK = dt.timedelta(minutes=5)  # code servers must be there, and have looked once
_AT_MOST = 3 * 60 * 60.0  # seconds
_QUIET = 120.0  # seconds without a run that say that nothing more is asked for
_RUNS = """
with daily as (
    select runs.* from openai_costs_dagster.runs join openai_costs_dagster.run_tags using (run_id)
    where key = 'dagster/asset_partition_range_end' and value = %s
)
select
    count(*) filter (where status = 'FAILURE') as failed,
    count(*) filter (where status = 'SUCCESS') as succeeded,
    count(*) as runs,
    extract(epoch from max(create_timestamp at time zone 'utc'))::float as asked,
    max(end_time) as ended,
    avg(end_time - start_time) as run
from daily
"""
_READ = "select count(distinct organization) from openai_costs.cost_days where usage_date = %s"


@dataclass(frozen=True)
class Morning:
    """The measurements. Times are seconds of wall time since the tick, unless noted."""

    organizations: int
    locations: int
    up: float
    """Time from the command to the first answer of the UI."""
    asked: float
    """Time until the last run was queued."""
    ended: float
    """Time until the last run had ended."""
    runs: int
    failed: int
    read: int
    """The number of organizations with a row for today."""
    run: float
    """The mean duration of a run, with the maximum number of concurrent runs."""
    memory: float
    """MiB of the webserver, the daemon and all code servers before the tick. Shared memory is counted once."""
    during: Mapping[str, float]
    """Loading time of pages after half of the runs, in seconds."""
    after: Mapping[str, float]


def morning(organizations: int) -> Morning:
    """Run one morning in a temporary folder."""
    names = [f"org{number:04}" for number in range(1, organizations + 1)]
    simulated = [
        SimulatedOrganization(name=name, organization_id=f"org-{name}", admin_key=_key(name), seed=number)
        for number, name in enumerate(names)
    ]
    with _folder() as folder, Simulator(simulated) as simulator:
        place = _Place(folder, names, simulator.base_url)
        place.configure("0 0 1 1 *")
        try:
            place.call("prepare")
            place.call("exec", sys.executable, "-m", "benchmarks.scale.past", *map(str, (organizations, _DAYS, _ROWS)))
            tick = (dt.datetime.now(dt.UTC) + _UNTIL_THE_TICK).replace(second=0, microsecond=0)
            place.configure(f"{tick.minute} {tick.hour} * * *")
            port = free_port()
            with place.up(port) as process:
                return _Watch(place, process, f"http://127.0.0.1:{port}", tick).see()
        finally:
            place.call("down")


class _Place:
    """A folder with a configuration, an environment and the embedded server."""

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
        text = json.dumps({"organizations": organizations, "refresh": refresh})  # JSON is YAML
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


class _Watch:
    def __init__(self, place: _Place, process: subprocess.Popen[bytes], url: str, tick: dt.datetime) -> None:
        self._place = place
        self._process = process
        self._url = url
        self._tick = tick.timestamp()
        self._started = time.monotonic()

    def see(self) -> Morning:
        self._until(self._answers)
        up = time.monotonic() - self._started
        self._until(lambda: time.time() > self._tick)
        memory = self._memory()
        wanted = len(self._place.names)
        self._until(lambda: self._runs()["succeeded"] + self._runs()["failed"] >= wanted / 2)
        during = look(self._url, self._place.names[wanted // 2])
        self._until(self._all_has_ended)
        found = self._runs()
        return Morning(
            organizations=wanted,
            locations=len(shards(wanted)),
            up=up,
            asked=found["asked"] - self._tick,
            ended=found["ended"] - self._tick,
            runs=round(found["runs"]),
            failed=round(found["failed"]),
            read=self._read(),
            run=found["run"],
            memory=memory,
            during=during,
            after=look(self._url, self._place.names[wanted // 2]),
        )

    def _answers(self) -> bool:
        with suppress(httpx2.HTTPError):
            return httpx2.get(f"{self._url}/server_info", timeout=5, trust_env=False).status_code == 200
        return False

    def _all_has_ended(self) -> bool:
        found = self._runs()
        quiet = time.time() - max(found["asked"], found["ended"]) > _QUIET
        return found["succeeded"] + found["failed"] == found["runs"] >= len(self._place.names) and quiet

    def _runs(self) -> dict[str, float]:
        with psycopg.connect(self._place.database_url, row_factory=psycopg.rows.dict_row) as connection:
            (found,) = connection.execute(_RUNS, [str(dt.datetime.now(dt.UTC).date())]).fetchall()
        return {name: float(value or 0) for name, value in found.items()}

    def _read(self) -> int:
        with psycopg.connect(self._place.database_url) as connection:
            ((count,),) = connection.execute(_READ, [dt.datetime.now(dt.UTC).date()]).fetchall()
        return int(count)

    def _memory(self) -> float:
        family = [psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children(recursive=True)]
        return sum(one.memory_full_info().pss for one in family if "postgres" not in one.name()) / 2**20

    def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            if self._process.poll() is not None or time.monotonic() - self._started > _AT_MOST:
                raise RuntimeError((self._place.folder / "up.log").read_text(encoding="utf-8")[-2_000:])
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
