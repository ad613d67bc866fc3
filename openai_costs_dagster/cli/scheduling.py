"""The state of sensors, dead runs and the heartbeat in the output of `openai-costs status`.

The sensors write each tick into a table, so that this module neither imports Dagster nor reads Dagster's storage.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from openai_costs_dagster.cli.console import Column, print_line, show_table
from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.warehouse import sensor_ticks
from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.sensor_ticks import DeadRun, Heartbeat, SensorTick

LATE_AFTER = 5
"""A sensor is late when it has not completed a tick for this many of its intervals."""

_DEAD_RUN_PERIOD = dt.timedelta(days=1)
# After this many failed attempts to send a heartbeat, `status` reports the heartbeat as a problem. After fewer,
# `status` only prints a note.
_PROBLEM_AFTER_ATTEMPTS = 5
_REMEDY = "is openai-costs up or Dagster's daemon running, and is the sensor switched on?"


@dataclass(frozen=True)
class SensorState:
    """The newest tick of a sensor."""

    tick: SensorTick
    age: dt.timedelta

    @property
    def is_late(self) -> bool:
        """Whether the last completed tick is more than `LATE_AFTER` intervals ago."""
        return self.age > LATE_AFTER * dt.timedelta(seconds=self.tick.interval_seconds)


@dataclass(frozen=True)
class Scheduling:
    """The sensors that cover the configured organizations, with dead runs and the heartbeat."""

    is_scheduled: bool
    sensors: list[SensorState] = field(default_factory=list)
    dead_runs: list[DeadRun] = field(default_factory=list)
    heartbeat: Heartbeat | None = None
    problems: list[str] = field(default_factory=list)
    """Messages about problems that a person has to solve."""
    notes: list[str] = field(default_factory=list)


def scheduling(configuration: Configuration, database: Database, now: dt.datetime) -> Scheduling:
    """Return whether the sensors of the configured organizations run. Raises `WarehouseError`."""
    with database.connect() as connection:
        ticks = sensor_ticks.all_ticks(connection)
        died = sensor_ticks.dead_runs(connection, now - _DEAD_RUN_PERIOD)
        sent = sensor_ticks.heartbeats(connection)
    names = set(configuration.organizations)
    # Runs of shared assets belong to no organization and concern every configuration.
    dead_runs = [run for run in died if run.organization is None or run.organization in names]
    relevant = [tick for tick in ticks if names & set(tick.organizations)]
    heartbeat = _heartbeat_of(configuration, sent)
    problems, notes = _heartbeat_messages(configuration, heartbeat)
    if not configuration.automation:
        notes.insert(0, "nothing is scheduled: automation is false, so your own schedules refresh")
        return Scheduling(False, [], dead_runs, heartbeat, problems, notes)
    if not relevant:
        notes.insert(
            0, "nothing is scheduled yet: no sensor has run for these organizations; openai-costs up runs them"
        )
        return Scheduling(False, [], dead_runs, heartbeat, problems, notes)
    states = [SensorState(tick, now - tick.last_tick_at) for tick in _newest(relevant, names)]
    late = [_late_message(state) for state in states if state.is_late]
    return Scheduling(
        True, states, dead_runs, heartbeat, [*late, *_uncovered_message(relevant, names), *problems], notes
    )


def print_scheduling(found: Scheduling) -> None:
    """Print the last tick of each sensor, then notes, dead runs and problems."""
    if found.sensors:
        show_table(
            (
                Column("sensor"),
                Column("last tick", wraps=True),
                Column("every", right=True),
                Column("code location", optional=True),
                Column("host", optional=True),
            ),
            [
                (
                    one.tick.sensor,
                    f"{_format_time(one.tick.last_tick_at)} ({_format_age(one.age)} ago)",
                    f"{one.tick.interval_seconds} s",
                    one.tick.location,
                    one.tick.host,
                )
                for one in found.sensors
            ],
        )
    for message in (*found.notes, *map(_dead_run_message, found.dead_runs), *found.problems):
        print_line(message)


def as_json(found: Scheduling) -> dict[str, Any]:
    """Return the value of the key `scheduling` of `status --json`. Times are ISO 8601 in UTC."""
    beat = found.heartbeat
    return {
        "scheduled": found.is_scheduled,
        "sensors": [
            {
                "sensor": one.tick.sensor,
                "location": one.tick.location,
                "host": one.tick.host,
                "organizations": list(one.tick.organizations),
                "interval_seconds": one.tick.interval_seconds,
                "last_tick_at": one.tick.last_tick_at.isoformat(),
                "last_error": one.tick.last_error,
                "late": one.is_late,
            }
            for one in found.sensors
        ],
        "dead_runs": [
            {
                "run_id": run.run_id,
                "organization": run.organization,
                "ended_at": run.ended_at.isoformat(),
                "reason": run.reason,
                "is_retried": run.is_retried,
            }
            for run in found.dead_runs
        ],
        "heartbeat": beat
        and {
            "day": beat.day.isoformat(),
            "delivered_at": beat.delivered_at and beat.delivered_at.isoformat(),
            "attempts": beat.attempts,
            "last_error": beat.last_error,
        },
        "problems": found.problems,
        "notes": found.notes,
    }


def _newest(ticks: Sequence[SensorTick], names: set[str]) -> Iterator[SensorTick]:
    """Yield the newest tick of each sensor for each organization. `ticks` are ordered newest first within a sensor.

    Rows of a code location that was renamed or moved to another host are skipped if newer ticks cover the same
    organizations.
    """
    left: dict[str, set[str]] = {}
    for tick in ticks:
        open_names = left.setdefault(tick.sensor, set(names))
        if open_names & set(tick.organizations):
            open_names -= set(tick.organizations)
            yield tick


def _uncovered_message(ticks: Sequence[SensorTick], names: set[str]) -> list[str]:
    """Return messages about organizations without a sensor, which were configured after their code location loaded."""
    covered = {name for tick in ticks for name in tick.organizations}
    missing = sorted(names - covered)
    if not missing:
        return []
    return [f"no sensor covers {', '.join(missing)}: restart openai-costs up, or reload the code location in Dagster"]


def _late_message(state: SensorState) -> str:
    tick = state.tick
    failed = f" (its last tick failed: {tick.last_error})" if tick.last_error else ""
    return (
        f"{tick.sensor} last ran {_format_age(state.age)} ago and should run every {tick.interval_seconds} s, "
        f"in the code location {tick.location} on {tick.host}{failed}: {_REMEDY}"
    )


def _heartbeat_of(configuration: Configuration, sent: Sequence[Heartbeat]) -> Heartbeat | None:
    """Return the newest heartbeat to the configured URL, sent by any code location."""
    address = str(configuration.heartbeat_url)
    return max((one for one in sent if one.address == address), key=lambda one: one.day, default=None)


def _heartbeat_messages(configuration: Configuration, known: Heartbeat | None) -> tuple[list[str], list[str]]:
    """Return problems and notes about the heartbeat."""
    if configuration.heartbeat_url is None:
        return [], []
    if known is None:
        return [], ["no heartbeat was sent yet: the first one follows the first complete morning"]
    if known.delivered_at:
        return [], [f"the heartbeat for {known.day} was sent at {_format_time(known.delivered_at)}"]
    message = f"the heartbeat for {known.day} could not be sent in {known.attempts} attempts: {known.last_error}"
    return ([message], []) if known.attempts >= _PROBLEM_AFTER_ATTEMPTS else ([], [message])


def _dead_run_message(run: DeadRun) -> str:
    """Return a message about a dead run."""
    retried = "is retried" if run.is_retried else "is not retried"
    whose = f"{run.organization}: " if run.organization else ""
    return f"{whose}run {run.run_id[:8]} died at {_format_time(run.ended_at)} and {retried}: {run.reason}"


def _format_time(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _format_age(age: dt.timedelta) -> str:
    """Return a duration in its largest unit, for example ``3 min``."""
    # The age is negative if the clock of the host of the sensor is ahead of this clock.
    seconds = max(0, int(age.total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        # Below two units the next smaller unit is shown, because "90 min" is more precise than "1 h".
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
