"""Ticks of sensors, dead runs and heartbeats of each code location.

The sensors write these rows, and `openai-costs status` reads them without importing Dagster. Times are UTC.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

RETENTION = dt.timedelta(days=30)
"""The age at which the next tick of any sensor deletes a row."""
# Rows of a renamed code location or of a former host are never updated again, so they are deleted by age.
_DELETE_OLD = (
    "delete from openai_costs.sensor_ticks where last_tick_at < %(before)s",
    "delete from openai_costs.dead_runs where ended_at < %(before)s",
    "delete from openai_costs.heartbeats where day < %(before)s",
)
_NEWEST_TICK = "select max(last_tick_at) from openai_costs.sensor_ticks where location = any (%(locations)s)"


class Sensor(NamedTuple):
    """A sensor of a code location, and the machine or container that its code server runs on."""

    location: str
    host: str
    sensor: str


@dataclass(frozen=True)
class SensorTick:
    """The last completed tick of a sensor. `last_error` is null if the last tick succeeded."""

    location: str
    host: str
    sensor: str
    organizations: Sequence[str]
    interval_seconds: int
    last_tick_at: dt.datetime
    last_error: str | None = None


@dataclass(frozen=True)
class DeadRun:
    """A run whose process died. `organization` is null for assets that all organizations share."""

    run_id: str
    organization: str | None
    ended_at: dt.datetime
    reason: str
    is_retried: bool


@dataclass(frozen=True)
class Heartbeat:
    """The latest heartbeat of a code location. `day` is the reported UTC day, which was synchronized completely."""

    location: str
    address: str
    day: dt.date
    attempts: int
    due_at: dt.datetime
    delivered_at: dt.datetime | None
    last_error: str | None


def record_tick(connection: Connection, tick: SensorTick) -> None:
    """Store a completed tick."""
    connection.execute(
        statement("dagster/upsert_sensor_tick"), {**asdict(tick), "organizations": list(tick.organizations)}
    )


def record_error(connection: Connection, sensor: Sensor, error: str) -> None:
    """Store the error of a failed tick. The time of the last completed tick stays."""
    connection.execute(statement("dagster/record_sensor_error"), {**sensor._asdict(), "last_error": error})


def all_ticks(connection: Connection) -> list[SensorTick]:
    """Return the latest tick of every sensor in every code location, newest first within a sensor."""
    return [SensorTick(*row) for row in connection.execute(statement("dagster/sensor_ticks"))]


def last_tick_at(connection: Connection, location: str, sensor: str) -> dt.datetime | None:
    """Return the time of the last completed tick of a sensor on any host, or None."""
    row = connection.execute(statement("dagster/last_sensor_tick"), {"location": location, "sensor": sensor}).fetchone()
    return row[0] if row else None


def newest_tick_at(connection: Connection, locations: Sequence[str]) -> dt.datetime | None:
    """Return the time of the last completed tick of any sensor in these code locations, or None."""
    row = connection.execute(_NEWEST_TICK, {"locations": list(locations)}).fetchone()
    return row[0] if row else None


def record_dead_run(connection: Connection, run: DeadRun) -> bool:
    """Store a run whose process died. Returns whether the run is new."""
    return connection.execute(statement("dagster/insert_dead_run"), asdict(run)).rowcount > 0


def dead_runs(connection: Connection, since: dt.datetime) -> list[DeadRun]:
    """Return the runs that died at or after `since`, oldest first."""
    return [DeadRun(*row) for row in connection.execute(statement("dagster/dead_runs"), {"since": since})]


def claim_heartbeat(
    connection: Connection, location: str, address: str, day: dt.date, now: dt.datetime, leased_to: dt.datetime
) -> int | None:
    """Claim the next attempt to send the heartbeat of a day and return the number of the attempt.

    Returns None if the heartbeat was delivered, is not due yet, or is being sent by another process.
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
    """Store the result of an attempt."""
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
    """Return the latest heartbeat of a code location to an address, or None."""
    values = {"location": location, "address": address}
    row = connection.execute(statement("alerts/heartbeat"), values).fetchone()
    return Heartbeat(location, address, *row) if row else None


def heartbeats(connection: Connection) -> list[Heartbeat]:
    """Return the latest heartbeat of every code location."""
    return [Heartbeat(*row) for row in connection.execute(statement("alerts/heartbeats"))]


def unread_organizations(connection: Connection, organizations: Collection[str], day: dt.date) -> list[str]:
    """Return the organizations for which a UTC day was not fetched after its end."""
    values = {"organizations": list(organizations), "day": day}
    return [name for (name,) in connection.execute(statement("organizations/without_day"), values)]


def delete_old(connection: Connection, now: dt.datetime) -> None:
    """Delete rows that are older than `RETENTION`."""
    values = {"before": now - RETENTION}
    for query in _DELETE_OLD:
        connection.execute(query, values)
