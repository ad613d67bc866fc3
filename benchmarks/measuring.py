"""Runs each contender in new processes with a new database, measures the time, and compares the stored sums."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import psutil
import psycopg

from benchmarks.catalogue import Contender
from benchmarks.turns import READY
from benchmarks.workload import STAGES, Order, Workload
from openai_costs_dagster.warehouse import embedded

_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Stage:
    """The measurements of one stage of a run."""

    seconds: float
    cpu: float
    """The CPU time of the contender's processes, in seconds."""
    postgres_cpu: float
    """The CPU time of PostgreSQL, in seconds."""
    memory: float
    """The peak memory so far in MiB, added up over parallel processes."""
    rows: int
    wrong_sums: int
    """The number of organizations whose stored sum differs from the exact sum."""
    revisions: int | None
    """The number of recorded restatements; None if the contender records none."""


@dataclass
class Servers:
    """The running API server and PostgreSQL server of the benchmark."""

    workload: Workload
    address: str
    truth: dict[str, dict[str, str]]
    """The exact sum of each organization in US dollars, by stage."""
    folder: Path
    database_url: str
    administrator: psycopg.Connection
    """A connection that creates and drops the database of each run."""
    _runs: int = field(default=0)

    @property
    def postgres(self) -> str:
        """The version of PostgreSQL."""
        row = self.administrator.execute("show server_version").fetchone()
        return str(row[0]) if row else "unknown"

    def run(self, contender: Contender, organizations: int | None = None) -> dict[str, Stage]:
        """Run a contender in new processes with a new database and return its stages."""
        self._runs += 1
        database, folder = f"run_{self._runs}", self.folder / f"run-{self._runs}"
        folder.mkdir()
        self.administrator.execute(f"create database {database} template template0 encoding 'UTF8'")
        url = urlsplit(self.database_url)._replace(path=f"/{database}").geturl()
        names = self.workload.names[:organizations]
        try:
            with ExitStack() as stack:
                log = stack.enter_context((folder / "log").open("wb"))
                processes = [
                    stack.enter_context(_process(contender, self._order(url, folder, group), log))
                    for group in _split(names, contender.processes)
                ]
                try:
                    for process in processes:
                        assert _read_line(process) == READY
                    return {stage: self._stage(contender, processes, stage, url, names) for stage in STAGES}
                except _Ended:
                    for process in processes:
                        process.communicate()
                    raise SystemExit(f"{contender.name} failed:\n{(folder / 'log').read_text()}") from None
        finally:
            self.administrator.execute(f"drop database {database} with (force)")
            shutil.rmtree(folder)

    def _order(self, url: str, folder: Path, names: list[str]) -> Order:
        first, last = self.workload.first.isoformat(), self.workload.last.isoformat()
        return Order(self.address, url, names, first, last, str(folder))

    def _stage(
        self, contender: Contender, processes: list[subprocess.Popen[str]], stage: str, url: str, names: list[str]
    ) -> Stage:
        self.administrator.execute("checkpoint")  # Write the pages of the previous stage before the measurement starts.
        spent, started_at = self._postgres_cpu(), time.perf_counter()
        for process in processes:
            assert process.stdin
            process.stdin.write(f"{stage}\n")
            process.stdin.flush()
        results: list[dict[str, Any]] = [json.loads(_read_line(process)) for process in processes]
        seconds = time.perf_counter() - started_at
        spent = self._postgres_cpu() - spent
        with psycopg.connect(url) as connection:
            stored = connection.execute(contender.stored).fetchall()
            revisions = connection.execute(contender.revisions).fetchone() if contender.revisions else None
        expected = self.truth[stage]
        sums = {name: total for name, _, total in stored}
        return Stage(
            seconds=seconds,
            cpu=sum(result["cpu"] for result in results),
            postgres_cpu=spent,
            memory=sum(result["memory"] for result in results),
            rows=sum(count for _, count, _ in stored),
            wrong_sums=sum(sums.get(name) != Decimal(expected[name]) for name in names),
            revisions=revisions[0] if revisions else None,
        )

    def _postgres_cpu(self) -> float:
        """Return the CPU seconds of all PostgreSQL processes so far."""
        server = psutil.Process(psutil.Process(self.administrator.info.backend_pid).ppid())
        times = [server.cpu_times()]
        for process in server.children():
            with suppress(psutil.Error):
                times.append(process.cpu_times())
        ended = times[0].children_user + times[0].children_system
        return float(ended + sum(cpu.user + cpu.system for cpu in times))


class _Ended(Exception):
    """A process ended before it printed the expected line."""


@contextmanager
def start_servers(workload: Workload) -> Iterator[Servers]:
    """Start the API server and PostgreSQL. Afterwards, stop both and delete their files."""
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
    folder = Path(tempfile.mkdtemp(prefix="openai-costs-benchmarks-"))
    try:
        with ExitStack() as stack:
            settings = json.dumps({**vars(workload), "first": workload.first.isoformat()})
            served = stack.enter_context(_started([sys.executable, "-m", "benchmarks.served", settings], stderr=None))
            stack.callback(embedded.stop, folder)
            url = embedded.start(folder)
            address = f"http://127.0.0.1:{int(_read_line(served))}"
            administrator = stack.enter_context(psycopg.connect(url, autocommit=True))
            with urllib.request.urlopen(f"{address}/truth") as response:  # noqa: S310
                truth = json.load(response)
            yield Servers(workload, address, truth, folder, url, administrator)
    finally:
        shutil.rmtree(folder)


def _split(names: list[str], count: int) -> list[list[str]]:
    return [group for group in (names[number::count] for number in range(count)) if group]


def _process(contender: Contender, order: Order, log: IO[bytes]) -> Any:
    command = [contender.python, "-m", f"benchmarks.contenders.{contender.module}", order.to_json()]
    return _started(command, stderr=log)


@contextmanager
def _started(command: list[str], stderr: IO[bytes] | None) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
    ) as process:
        try:
            yield process
        finally:
            assert process.stdin
            process.stdin.close()  # A contender exits at the end of its standard input.


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline().strip()
    if not line:
        raise _Ended
    return line
