"""Stores ticks of Dagster sensors, runs whose process died, and heartbeats of each Dagster code location.

Dagster sensors write these rows to tables of this package, so that the command `openai-costs status` can read the rows
without importing Dagster. Times are in UTC.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

RETENTION = dt.timedelta(days=30)
"""The age from which rows of sensor ticks, dead runs and heartbeats are deleted."""
# Rows of a renamed code location or of a former host are never updated again, so they are deleted by age.
_DELETE_OLD = (
    "delete from openai_costs.sensor_ticks where last_tick_at < %(before)s",
    "delete from openai_costs.dead_runs where ended_at < %(before)s",
    "delete from openai_costs.heartbeats where day < %(before)s",
)
_NEWEST_TICK = "select max(last_tick_at) from openai_costs.sensor_ticks where location = any (%(locations)s)"


class Sensor(NamedTuple):
    """A Dagster sensor of a code location on one host. `host` is the machine or container of the code server."""

    location: str
    host: str
    sensor: str


@dataclass(frozen=True)
class SensorTick:
    """The last completed tick (evaluation) of a Dagster sensor.

    `last_error` is the error of the latest tick, or None if the latest tick succeeded.
    """

    location: str
    host: str
    sensor: str
    organizations: Sequence[str]
    interval_seconds: int
    last_tick_at: dt.datetime
    last_error: str | None = None


@dataclass(frozen=True)
class DeadRun:
    """A Dagster run whose process died.

    `organization` is None if the run materialized assets that are not specific to one organization.
    """

    run_id: str
    organization: str | None
    ended_at: dt.datetime
    reason: str
    is_retried: bool


@dataclass(frozen=True)
class Heartbeat:
    """The latest heartbeat of a Dagster code location: a request to an external monitor that reports a complete day.

    `day` is the reported UTC day, whose costs were synchronized after the day had ended. `delivered_at` is None until
    the monitor accepts the heartbeat.
    """

    location: str
    address: str
    day: dt.date
    attempts: int
    due_at: dt.datetime
    delivered_at: dt.datetime | None
    last_error: str | None


def record_tick(connection: Connection, tick: SensorTick) -> None:
    """Store the latest tick of a sensor that completed without an error, and replace the sensor's earlier tick."""
    connection.execute(
        statement("dagster/upsert_sensor_tick"), {**asdict(tick), "organizations": list(tick.organizations)}
    )


def record_error(connection: Connection, sensor: Sensor, error: str) -> None:
    """Store the error of a sensor's failed tick. The stored time of the last completed tick stays unchanged."""
    connection.execute(statement("dagster/record_sensor_error"), {**sensor._asdict(), "last_error": error})


def all_ticks(connection: Connection) -> list[SensorTick]:
    """Return the latest tick of every sensor on every host. The ticks of one sensor are ordered newest first."""
    return [SensorTick(*row) for row in connection.execute(statement("dagster/sensor_ticks"))]


def last_tick_at(connection: Connection, location: str, sensor: str) -> dt.datetime | None:
    """Return the time of a sensor's last completed tick on any host, or None if no tick has completed."""
    row = connection.execute(statement("dagster/last_sensor_tick"), {"location": location, "sensor": sensor}).fetchone()
    return row[0] if row else None


def newest_tick_at(connection: Connection, locations: Sequence[str]) -> dt.datetime | None:
    """Return the time of the last completed tick of any sensor in `locations`, or None if no tick has completed."""
    row = connection.execute(_NEWEST_TICK, {"locations": list(locations)}).fetchone()
    return row[0] if row else None


def record_dead_run(connection: Connection, run: DeadRun) -> bool:
    """Store a Dagster run whose process died. Return False if the run is already stored."""
    return connection.execute(statement("dagster/insert_dead_run"), asdict(run)).rowcount > 0


def dead_runs(connection: Connection, since: dt.datetime) -> list[DeadRun]:
    """Return the runs that died at or after `since`, oldest first."""
    return [DeadRun(*row) for row in connection.execute(statement("dagster/dead_runs"), {"since": since})]


def claim_heartbeat(
    connection: Connection, location: str, address: str, day: dt.date, now: dt.datetime, leased_to: dt.datetime
) -> int | None:
    """Reserve the next attempt to send the heartbeat of a day for this process, and return the attempt's number.

    Returns None if the heartbeat was already delivered, if the next attempt is not due yet, or if another process is
    sending the heartbeat. Until `leased_to`, no other process can reserve an attempt.
    """
    values = {"location": location, "address": address, "day": day, "now": now, "leased_to": leased_to}
    row = connection.execute(statement("alerts/claim_heartbeat"), values).fetchone()
    return int(row[0]) if row else None


def record_heartbeat(
    connection: Connection,
    location: str,
    address: str,
    day: dt.date,
    *,
    due_at: dt.datetime,
    delivered_at: dt.datetime | None,
    error: str | None,
) -> None:
    """Store the result of an attempt to send a heartbeat.

    After a delivery, `delivered_at` is the time of the delivery. After a failure, `error` is the reason and `due_at`
    the time of the next attempt.
    """
    values = {
        "location": location,
        "address": address,
        "day": day,
        "due_at": due_at,
        "delivered_at": delivered_at,
        "last_error": error,
    }
    connection.execute(statement("alerts/update_heartbeat"), values)


def heartbeat(connection: Connection, location: str, address: str) -> Heartbeat | None:
    """Return the latest heartbeat that a code location sent to `address`, or None if it has sent none."""
    values = {"location": location, "address": address}
    row = connection.execute(statement("alerts/heartbeat"), values).fetchone()
    return Heartbeat(location, address, *row) if row else None


def heartbeats(connection: Connection) -> list[Heartbeat]:
    """Return the latest heartbeat of every code location."""
    return [Heartbeat(*row) for row in connection.execute(statement("alerts/heartbeats"))]


def unread_organizations(connection: Connection, organizations: Collection[str], day: dt.date) -> list[str]:
    """Return the organizations for which the costs of `day` are missing or were fetched before the day had ended."""
    values = {"organizations": list(organizations), "day": day}
    return [name for (name,) in connection.execute(statement("organizations/without_day"), values)]


def delete_old(connection: Connection, now: dt.datetime) -> None:
    """Delete sensor ticks, dead runs and heartbeats that are older than `RETENTION`."""
    values = {"before": now - RETENTION}
    for query in _DELETE_OLD:
        connection.execute(query, values)
