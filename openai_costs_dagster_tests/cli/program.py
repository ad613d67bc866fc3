"""Runs the `openai-costs` program in its own working directory and environment, and ends all of its processes."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NamedTuple, TypeVar

import psutil
import psycopg
import yaml

from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from ..midnight import today
from ..simulator.http_requests import Key, days_between, expected_sums

PROGRAM = Path(sys.executable).with_name("openai-costs")

_TIMEOUT_S = 240  # A process that has not ended after this time counts as hanging.

Something = TypeVar("Something")


class Finished(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def output(self) -> str:
        return self.out + self.err


def until(condition: Callable[[], Something | None], *, seconds: float = _TIMEOUT_S, every: float = 0.05) -> Something:
    """Call `condition` every `every` seconds until its result is true, and return this result.

    Fails the test after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{condition} did not come true"
        time.sleep(every)
    return result


def days_ago(days: int) -> dt.date:
    return today() - dt.timedelta(days=days)


def yesterday() -> dt.date:
    return days_ago(1)


class Workplace:
    """A user's working directory with a configuration file, a minimal environment and an embedded server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / ".openai-costs"
        self.environment = {
            "PATH": f"{PROGRAM.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
        }
        (folder / "home").mkdir()

    @property
    def database_url(self) -> str:
        """The URL of the embedded server, which listens on a Unix socket in its data directory."""
        return f"postgresql://postgres@/postgres?host={self.data}/postgres"

    def configure(
        self,
        simulator: Simulator,
        organizations: Mapping[str, SimulatedOrganization],
        *,
        file: str = "openai_costs.yaml",
        start_date: dt.date | None = None,
        start_dates: Mapping[str, dt.date] = MappingProxyType({}),
        **settings: Any,
    ) -> Path:
        """Write a configuration file and return its path. Each organization's key is in the variable `<NAME>_KEY`.

        `start_date` applies to the organizations that are not in `start_dates`.
        """
        named: dict[str, Any] = {}
        for name, simulated in organizations.items():
            variable = f"{name.upper().replace('-', '_')}_KEY"
            self.environment[variable] = simulated.admin_key
            named[name] = {"admin_key": {"env": variable}, "base_url": simulator.base_url}
            first_day = start_dates.get(name, start_date)
            if first_day:
                named[name]["start_date"] = first_day
        path = self.folder / file
        path.write_text(yaml.safe_dump({"organizations": named, **settings}, sort_keys=False), encoding="utf-8")
        return path

    def run(self, *command: str, **environment: str) -> Finished:
        """Run a command until it ends. A command that hangs is killed and fails the test."""
        with self.started(*command, environment=environment) as process:
            out, err = process.communicate(timeout=_TIMEOUT_S)
        return Finished(process.returncode, out, err)

    @contextmanager
    def started(
        self,
        *command: str,
        environment: Mapping[str, str] = MappingProxyType({}),
        output: IO[str] | int = subprocess.PIPE,
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a command as the leader of its own process group, and kill the group at the end of the block.

        Standard output and standard error go to `output`, by default to pipes.
        """
        process = subprocess.Popen(  # noqa: S603  # our own program
            [str(PROGRAM), *command],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    kill_group(process.pid)

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(query.encode(), parameters or None).fetchall()

    def stored_days(self, organization: str) -> set[dt.date]:
        found = self.sql("select usage_date from openai_costs.cost_days where organization = %s", organization)
        return {day for (day,) in found}

    def stored(self, organization: str) -> dict[Key, Any]:
        """Return the stored amounts of all days before today, by day, project and line item."""
        found = self.sql(
            """
            select usage_date::text, project_id, line_item, coalesce(sum(amount), 0)
            from openai_costs.daily_costs
            where organization = %s and usage_date < %s
            group by 1, 2, 3
            """,
            organization,
            today(),
        )
        return {(day, project_id, line_item): amount for day, project_id, line_item, amount in found}

    def run_statuses(self) -> list[str]:
        """Return the statuses of all Dagster runs, oldest first. Returns an empty list if nothing has run yet."""
        try:
            return [status for (status,) in self.sql("select status from openai_costs_dagster.runs order by id")]
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
            return []

    def files(self) -> set[Path]:
        return {path.relative_to(self.folder) for path in self.folder.rglob("*")}

    def processes(self) -> list[psutil.Process]:
        """Return all processes whose command line or home directory is in this working directory."""
        return [process for process in psutil.process_iter() if self._concerns(process)]

    def close(self) -> None:
        """Stop the embedded server and kill all remaining processes."""
        if (self.data / "postgres").exists():
            self.run("down")
        left = self.processes()
        for process in left:
            process.kill()
        until(lambda: not any(map(is_alive, left)))

    def _concerns(self, process: psutil.Process) -> bool:
        folder = str(self.folder)
        try:
            if process.pid == os.getpid() or not is_alive(process):
                return False
            return folder in " ".join(process.cmdline()) or process.environ().get("HOME", "").startswith(folder)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


@contextmanager
def workplace() -> Iterator[Workplace]:
    """Create a new working directory and delete it at the end.

    Its path is short enough for a Unix socket. If the tests run as root, the server runs as another user, so every user
    may enter the directory.
    """
    folder = Path(tempfile.mkdtemp(prefix="oc-"))
    folder.chmod(0o755)
    place = Workplace(folder)
    try:
        yield place
    finally:
        place.close()
        shutil.rmtree(folder)


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process is still running. A zombie counts as ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_group(leader: int) -> None:
    """Kill a process group with SIGKILL, so that no process of the group can clean up."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def expected_costs(organization: SimulatedOrganization, first: dt.date, last: dt.date | None = None) -> dict[Key, Any]:
    """Return the exact simulated amounts by day, project and line item. The default for `last` is yesterday."""
    last = last or yesterday()
    return expected_sums(organization, days_between(first, last + dt.timedelta(days=1)), ("project_id", "line_item"))


def lines(text: str) -> Sequence[str]:
    return text.strip().splitlines()
