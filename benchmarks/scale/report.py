"""The report: formats the measurements as tables and writes docs/scale.md."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import machine, markdown
from benchmarks.scale.filling import Size
from benchmarks.scale.morning import Morning
from benchmarks.scale.queries import QueryTiming

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"


@dataclass(frozen=True)
class Sharding:
    """A number of organizations that are divided among a number of code locations."""

    organizations: int
    shards: int


@dataclass(frozen=True)
class Warehouse:
    """The measurements of a filled warehouse."""

    size: Size
    seconds: float | None
    """The time to fill the warehouse; None if the data of an earlier measurement was used."""
    sizes: dict[str, str]
    """The size on disk of the table of cost rows and of its indexes, as text."""
    timings: Sequence[QueryTiming]


@dataclass(frozen=True)
class Measurements:
    """All measurements. A part that was not measured is empty or None."""

    dagster: Sequence[tuple[Sharding, dict[str, dict[str, float]]]]
    morning: Morning | None
    warehouse: Warehouse | None
    postgres: str
    """The version of PostgreSQL."""


def page(measurements: Measurements) -> str:
    """Return the text of docs/scale.md."""
    parts = [_INTRODUCTION.format(date=dt.datetime.now(dt.UTC).date(), machine=machine(measurements.postgres))]
    if measurements.dagster:
        parts += [_DAGSTER, _dagster_table(measurements.dagster), _BOTTLENECK]
    if measurements.morning:
        parts += [_morning_text(measurements.morning), _pages_table(measurements.morning)]
    if measurements.warehouse:
        parts += [_warehouse_text(measurements.warehouse), _timings_table(measurements.warehouse.timings), _POSTGRES]
    return "\n\n".join([*parts, _REPEAT])


def _dagster_table(measured: Sequence[tuple[Sharding, dict[str, dict[str, float]]]]) -> str:
    headings = ["organizations", "code locations", "load, s", "sent, MB", "server, MiB", "no-op evaluation, s"]
    headings += ["requested at first", "a run, s", "of it loading, s", "a run, MiB"]
    rows = []
    for sharding, activities in measured:
        load, tick, run = activities["load"], activities["tick"], activities["run"]
        rows.append(
            [
                f"{sharding.organizations:,}",
                str(sharding.shards),
                f"{load['load']:.1f}",
                f"{load['sent_megabytes']:.1f}",
                f"{load['memory']:.0f}",
                f"{tick['no_op']:.1f}",
                f"{tick['requested']:.0f}",
                f"{run['import'] + run['load'] + run['run']:.1f}",
                f"{run['import'] + run['load']:.1f}",
                f"{run['memory']:.0f}",
            ]
        )
    return markdown(headings, rows)


def _morning_text(morning: Morning) -> str:
    failed = f"{morning.failed:,} failed" if morning.failed else "none failed"
    return (
        f"## A morning of {morning.organizations:,} organizations\n"
        f"`openai-costs up` with {morning.locations} code locations, with the simulator and PostgreSQL on the same "
        "machine. Both storages contain 400 days, and one daily tick is measured. Seconds are wall time.\n\n"
        f"The UI responds after {morning.up:.0f} s. Webserver, daemon and code servers use {morning.memory:,.0f} MiB. "
        f"The last of {morning.runs:,} runs is queued {_minutes(morning.queued)} after the tick and ends after "
        f"{_minutes(morning.ended)}: {60 * morning.runs / morning.ended:.0f} runs a minute, four at a time. A run "
        f"takes {morning.run:.1f} s after the start of its process. Of these runs, {failed}, and {morning.read:,} "
        "organizations have a row of today."
    )


def _pages_table(morning: Morning) -> str:
    headings = ["Dagster's page", "s, after half of the runs", "s, after all runs"]
    rows = [[name, f"{seconds:.1f}", f"{morning.after[name]:.1f}"] for name, seconds in morning.during.items()]
    return markdown(headings, rows) if rows else "Dagster's pages were not measured, because no browser is installed."


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"


def _warehouse_text(warehouse: Warehouse) -> str:
    size, sizes = warehouse.size, warehouse.sizes
    duration = f", generated in {warehouse.seconds / 60:.0f} minutes" if warehouse.seconds else ""
    return (
        f"## PostgreSQL\n{size.total_rows:,} cost rows: {size.organizations:,} organizations x {size.days} days x "
        f"{size.rows} rows a day{duration}. The table uses {sizes['cost_rows']}, its index by organization and day "
        f"{sizes['cost_rows_by_day']}, and the index by date {sizes['cost_rows_by_date']}. The server has PostgreSQL's "
        "default settings (128 MB of shared buffers). Times are medians of four executions."
    )


def _timings_table(timings: Sequence[QueryTiming]) -> str:
    headings = ["question", "ms", "first execution", "rows", "pages", "access to the tables"]
    rows = [
        [
            timing.query.name,
            f"{1000 * timing.seconds:,.0f}",
            f"{1000 * timing.first:,.0f}",
            f"{timing.rows:,}",
            f"{timing.pages:,}",
            ", ".join(timing.reads),
        ]
        for timing in timings
    ]
    return markdown(headings, rows)


def write(text: str) -> Path:
    """Replace docs/scale.md."""
    _PAGE.write_text(text + "\n", encoding="utf-8")
    return _PAGE


_INTRODUCTION = """\
# Scale: many organizations and large tables

Measured {date} on {machine}, by `python -m benchmarks.scale`. Seconds are CPU seconds of one process, unless noted."""

_DAGSTER = """\
## Dagster
Each organization has four assets, three of them with 400 days and their checks. *Load*: a code server builds its
definitions. *Sent*: the definitions that it sends to the webserver and the daemon. *No-op evaluation*: the sensor
`openai_costs_refresh` evaluates all conditions and requests nothing. *A run*: a new process loads the definitions and
reads the trailing days of one organization, with usage and allocation, from a simulator on the same machine."""

_BOTTLENECK = """\
The bottleneck: in containers, every run is a new process that loads all definitions of its code location. An evaluation
of the sensor takes 25 ms per organization, and 50 to 100 ms in the middle of a morning. With 50 or more organizations,
`openai-costs up` forks its runs from a process that has loaded the definitions
([decision 22](decisions/0022-run-launcher.md)), so that a run does not load them. With more than 250 organizations, it
uses several code locations with at most 250 organizations each (`python_module: {module_name:
openai_costs_dagster.shards, attribute: shard_1_of_10}` in a workspace file). The sensor evaluates its code location
every 30 seconds, or every two seconds per organization if that is longer. In containers, use at most 100 organizations
per code location. The first code location also has the assets and sensors that all organizations share. On a cluster,
runs execute on any node: each is a process that needs only PostgreSQL and the API ([deployment](deployment.md)).

With very many organizations on one machine, set `refresh.intraday_minutes` to null or to several hours. The default
reads today and yesterday of every organization once an hour, which needs as many runs as the daily refresh."""

_POSTGRES = """\
Queries for one organization use the index by organization and day. Their time does not depend on the number of
organizations. Queries for all organizations read all rows of their days by date, so their time grows with the number of
days. For totals by organization, query `day_status`, which has one row per day."""

_REPEAT = """\
## Repeat the measurement
```console
python -m benchmarks.scale                        # everything: an hour and a half, 10 GB
python -m benchmarks.scale postgres --rows 5000000
python -m benchmarks.scale morning --organizations 100
python -m benchmarks.scale --write                # everything, and replaces this page
python -m benchmarks.scale.launchers 3 50 250     # CPU seconds of a run with both run launchers
```"""
