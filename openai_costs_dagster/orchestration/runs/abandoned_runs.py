"""Finds runs that no process executes any more. Needs no Dagster, so that `status` stays fast."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import NamedTuple

from openai_costs_dagster.orchestration.runtime import process_id
from openai_costs_dagster.orchestration.runtime.process_id import State
from openai_costs_dagster.warehouse import dagster_runs
from openai_costs_dagster.warehouse.dagster_runs import StoredRun
from openai_costs_dagster.warehouse.database import Connection

CREATED = frozenset({"NOT_STARTED", "STARTING"})
"""Statuses of a run that no process has taken yet, as Dagster spells them."""

STARTED = frozenset({"STARTED", "CANCELING"})
"""Statuses of a run that a process executes."""

GRACE = dt.timedelta(minutes=15)
"""How long a created run may be without a process. Creating the first run of a year takes up to 7 minutes."""

_LONG = dt.timedelta(hours=6)  # `max_runtime_seconds` of our instances
_DAEMON_SILENCE = dt.timedelta(minutes=5)


class UnfinishedRun(NamedTuple):
    """A run in one of the statuses `CREATED` or `STARTED`."""

    run_id: str
    status: str
    process_tag: str | None
    created_at: dt.datetime
    changed_at: dt.datetime

    @property
    def process(self) -> process_id.Process | None:
        """The process that executes it, if that is recorded."""
        return process_id.of_run(self.run_id, self.process_tag)

    def why_abandoned(self, now: dt.datetime) -> str | None:
        """Why no process can execute it any more; None while one may. Runs of other hosts are never abandoned."""
        process = self.process
        if process and process.state is State.ENDED:
            return f"its process {process.pid} on {process.place.host} has ended; windows stored before stay"
        if process is None and self.status in CREATED and now - self.changed_at > GRACE:
            return f"no process has started it since {self.created_at:%Y-%m-%d %H:%M} UTC"
        return None


def stuck_runs(connection: Connection, prefix: Sequence[str], now: dt.datetime) -> list[str]:
    """Sentences about runs that do not proceed, for `status`. `prefix` is what the keys of our assets begin with.

    Empty if Dagster keeps its history in another database. Raises WarehouseError.
    """
    found = []
    for run in dagster_runs.unfinished(connection):
        if run.process_tag is not None or _mentions(run.body, prefix):
            found += _about(run, now)
    return found + _about_queue(connection, now)


def _about(run: StoredRun, now: dt.datetime) -> list[str]:
    one = UnfinishedRun(run.run_id, run.status, run.process_tag, run.created_at, run.changed_at)
    if one.status not in CREATED | STARTED:
        return []
    if why := one.why_abandoned(now):
        return [f"the run {one.run_id} does not proceed: {why}; openai-costs backfill and openai-costs up end it"]
    if one.status in STARTED and now - one.changed_at > _LONG and not _is_here(one):
        where = f" on {one.process.place.host}" if one.process else ""
        since = f"{one.changed_at:%Y-%m-%d %H:%M} UTC"
        return [f"the run {one.run_id} is running{where} since {since}: terminate it in Dagster if it does not proceed"]
    return []


def _is_here(run: UnfinishedRun) -> bool:
    return run.process is not None and run.process.state is State.RUNNING


def _about_queue(connection: Connection, now: dt.datetime) -> list[str]:
    queue = dagster_runs.queue(connection)
    if not queue or now - queue.since < GRACE or (queue.daemon_at and now - queue.daemon_at < _DAEMON_SILENCE):
        return []
    since = f"{queue.since:%Y-%m-%d %H:%M} UTC"
    return [f"{queue.length} runs are queued since {since} and no daemon executes them: start openai-costs up"]


def _mentions(body: str, prefix: Sequence[str]) -> bool:
    """Whether a run as Dagster stores it, in JSON, selects assets whose keys begin with `prefix`."""
    first = r",\s*".join(re.escape(f'"{part}"') for part in prefix)
    return re.search(rf'"path":\s*\[{first}', body) is not None
