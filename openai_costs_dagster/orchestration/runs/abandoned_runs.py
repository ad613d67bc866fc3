"""Finds unfinished runs that no process executes, for example because the process of the run was killed.

`openai-costs status` reports these runs. This module does not import Dagster, because importing Dagster takes half a
second. The commands `openai-costs backfill` and `openai-costs up` end these runs with `end_abandoned_runs` in
`worker_pool.py`. While Dagster's daemon runs, Dagster's run monitoring ends them through `runtime/run_launcher.py`, and
the sensor for alerts ends runs that died before they started (`sensors/tick_records.py`).
"""

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
"""Dagster's statuses of a run that was created and has not started."""

STARTED = frozenset({"STARTED", "CANCELING"})
"""Dagster's statuses of a run that has started and has not ended."""

GRACE = dt.timedelta(minutes=15)
"""The time after its creation in which a run may be without a process.

Dagster's daemon may be busy: creating the first run of a year takes up to 7 minutes.
"""

# Equal to `max_runtime_seconds` in our `dagster.yaml` files, after which Dagster itself fails a run.
_LONG = dt.timedelta(hours=6)
_DAEMON_SILENCE = dt.timedelta(minutes=5)


class UnfinishedRun(NamedTuple):
    """A run that has not ended: its status is in `CREATED` or in `STARTED`."""

    run_id: str
    status: str
    process_tag: str | None
    created_at: dt.datetime
    changed_at: dt.datetime

    @property
    def process(self) -> process_id.Process | None:
        """The process that executes the run according to the run's tag, or None if the tag names no process."""
        return process_id.of_run(self.run_id, self.process_tag)

    def why_abandoned(self, now: dt.datetime) -> str | None:
        """Return the reason why the run will never end by itself, or None if a process may still execute it.

        A run of another host is never reported, because its process cannot be checked from this host.
        """
        process = self.process
        if process and process.state is State.ENDED:
            return f"its process {process.pid} on {process.place.host} has ended; the days that it stored are kept"
        if process is None and self.status in CREATED and now - self.changed_at > GRACE:
            return f"no process has started it since {self.created_at:%Y-%m-%d %H:%M} UTC"
        return None


def stuck_runs(connection: Connection, prefix: Sequence[str], now: dt.datetime) -> list[str]:
    """Return a message for each unfinished run that does not proceed, for `openai-costs status`.

    `prefix` is the asset key prefix. The list is empty if Dagster's storage is in another database. Raises
    `WarehouseError` if the database cannot be queried.
    """
    messages = []
    for run in dagster_runs.unfinished(connection):
        if run.process_tag is not None or _mentions(run.body, prefix):
            messages += _messages(run, now)
    return messages + _queue_messages(connection, now)


def _messages(stored: StoredRun, now: dt.datetime) -> list[str]:
    run = UnfinishedRun(stored.run_id, stored.status, stored.process_tag, stored.created_at, stored.changed_at)
    if run.status not in CREATED | STARTED:
        return []
    if reason := run.why_abandoned(now):
        return [f"the run {run.run_id} does not proceed: {reason}; openai-costs backfill and openai-costs up end it"]
    if run.status in STARTED and now - run.changed_at > _LONG and not _runs_on_this_host(run):
        where = f" on {run.process.place.host}" if run.process else ""
        since = f"{run.changed_at:%Y-%m-%d %H:%M} UTC"
        return [
            (
                f"the run {run.run_id} has been running{where} since {since}: "
                "terminate it in Dagster if it does not proceed"
            )
        ]
    return []


def _runs_on_this_host(run: UnfinishedRun) -> bool:
    return run.process is not None and run.process.state is State.RUNNING


def _queue_messages(connection: Connection, now: dt.datetime) -> list[str]:
    queue = dagster_runs.queue(connection)
    if not queue or now - queue.since < GRACE or (queue.daemon_at and now - queue.daemon_at < _DAEMON_SILENCE):
        return []
    since = f"{queue.since:%Y-%m-%d %H:%M} UTC"
    return [f"{queue.length} runs are queued since {since} and no daemon executes them: start openai-costs up"]


def _mentions(body: str, prefix: Sequence[str]) -> bool:
    """Return whether `body`, the JSON of a Dagster run, selects an asset whose key begins with `prefix`."""
    first = r",\s*".join(re.escape(f'"{part}"') for part in prefix)
    return re.search(rf'"path":\s*\[{first}', body) is not None
