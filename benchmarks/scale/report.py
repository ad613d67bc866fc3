"""Puts what was measured into docs/scale.md."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import machine, markdown
from benchmarks.scale.filling import Size
from benchmarks.scale.morning import Morning
from benchmarks.scale.questions import Answer

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"


@dataclass(frozen=True)
class Place:
    """A code location that holds one of some parts of the organizations."""

    organizations: int
    parts: int


@dataclass(frozen=True)
class Warehouse:
    """A filled warehouse: how long that took, unless it was filled before, how large it is, and its answers."""

    size: Size
    seconds: float | None
    sizes: dict[str, str]
    answers: Sequence[Answer]


@dataclass(frozen=True)
class Found:
    """Everything measured."""

    dagster: Sequence[tuple[Place, dict[str, dict[str, float]]]]
    morning: Morning | None
    warehouse: Warehouse | None
    postgres: str


def page(found: Found) -> str:
    """All of docs/scale.md."""
    parts = [_INTRODUCTION.format(date=dt.datetime.now(dt.UTC).date(), machine=machine(found.postgres))]
    if found.dagster:
        parts += [_DAGSTER, _dagster_table(found.dagster), _BENDS]
    if found.morning:
        parts += [_morning_words(found.morning), _pages_table(found.morning)]
    if found.warehouse:
        parts += [_warehouse_words(found.warehouse), _answers_table(found.warehouse.answers), _POSTGRES]
    return "\n\n".join([*parts, _REPEAT])


def _dagster_table(measured: Sequence[tuple[Place, dict[str, dict[str, float]]]]) -> str:
    headings = ["organizations", "code locations", "load, s", "sent, MB", "server, MiB", "a quiet tick, s"]
    headings += ["asked for at first", "a run, s", "of it loading, s", "a run, MiB"]
    rows = []
    for place, found in measured:
        load, tick, run = found["load"], found["tick"], found["run"]
        rows.append(
            [
                f"{place.organizations:,}",
                str(place.parts),
                f"{load['load']:.1f}",
                f"{load['sent_megabytes']:.1f}",
                f"{load['memory']:.0f}",
                f"{tick['quiet']:.1f}",
                f"{tick['asked_for']:.0f}",
                f"{run['import'] + run['load'] + run['run']:.1f}",
                f"{run['import'] + run['load']:.1f}",
                f"{run['memory']:.0f}",
            ]
        )
    return markdown(headings, rows)


def _morning_words(seen: Morning) -> str:
    failed = f"{seen.failed:,} failed" if seen.failed else "none failed"
    return (
        f"## A morning of {seen.organizations:,} organizations\n"
        f"`openai-costs up` as it is, in {seen.locations} code locations, on the machine above, the simulator and "
        "PostgreSQL beside it; 400 days in both storages, one daily tick. Seconds are of the wall clock.\n\n"
        f"The UI answers after {seen.up:.0f} s; webserver, daemon and code servers take {seen.memory:,.0f} MiB. The "
        f"last of {seen.runs:,} runs is in the queue {_minutes(seen.asked)} after the tick and has ended after "
        f"{_minutes(seen.ended)}: {60 * seen.runs / seen.ended:.0f} runs a minute, four at a time, each for "
        f"{seen.run:.1f} s once its process is there; {failed}, and {seen.read:,} organizations have a row of today."
    )


def _pages_table(seen: Morning) -> str:
    headings = ["Dagster's page", "s, half of the runs having ended", "s, all having ended"]
    rows = [[name, f"{took:.1f}", f"{seen.after[name]:.1f}"] for name, took in seen.during.items()]
    return markdown(headings, rows) if rows else "No browser was there to look at Dagster's pages."


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"


def _warehouse_words(warehouse: Warehouse) -> str:
    size, sizes = warehouse.size, warehouse.sizes
    filled = f", laid down in {warehouse.seconds / 60:.0f} minutes" if warehouse.seconds else ""
    return (
        f"## PostgreSQL\n{size.all_rows:,} cost rows: {size.organizations:,} organizations x {size.days} days x "
        f"{size.rows} rows a day{filled}. The table takes {sizes['cost_rows']}, its index by organization and day "
        f"{sizes['cost_rows_by_day']}, that by date {sizes['cost_rows_by_date']}. Settings are PostgreSQL's own "
        "(128 MB of shared buffers); times are medians of four, the very first one beside them."
    )


def _answers_table(answers: Sequence[Answer]) -> str:
    headings = ["question", "ms", "the first time", "rows", "pages", "how the tables are read"]
    rows = [
        [
            one.question.name,
            f"{1000 * one.seconds:,.0f}",
            f"{1000 * one.first:,.0f}",
            f"{one.rows:,}",
            f"{one.pages:,}",
            ", ".join(one.reads),
        ]
        for one in answers
    ]
    return markdown(headings, rows)


def write(text: str) -> Path:
    """Replaces the page."""
    _PAGE.write_text(text + "\n", encoding="utf-8")
    return _PAGE


_INTRODUCTION = """\
# How far it grows

Measured {date} on {machine}, by `python -m benchmarks.scale`. Seconds are CPU seconds of one process unless said."""

_DAGSTER = """\
## Dagster
Each organization has four assets, three of them with 400 days and their checks. *Load*: a code server makes its
definitions; *sent*: what it then tells the webserver and the daemon. *A quiet tick*: the sensor `openai_costs_refresh`
looks at everything and asks for nothing. *A run*: a fresh process loads the definitions and reads the trailing days of
one organization over HTTP, with usage and allocation, from a simulator beside it."""

_BENDS = """\
What bends it: a run in a fresh process, as containers have them, loads all definitions of its code location before it
reads one organization; an evaluation of the sensor costs 25 ms an organization, and 50 to 100 in the middle of a
morning. `openai-costs up` forks its runs from loaded definitions ([decision 22](decisions/0022-run-launcher.md)): of *a
run* above, what loading takes is gone. It serves more than 250 organizations from several code locations of at most 250
(`openai_costs_dagster.shards`, as in `workspace.yaml`: `python_module: {module_name: openai_costs_dagster.shards,
attribute: shard_1_of_10}`), and the sensor looks every two seconds for each organization of its location, at least
every 30. For containers, 100 to a code location are better. What all organizations share (report, FOCUS, alerts) is in
the first one. On a cluster the runs spread: each is a process of its own that needs PostgreSQL and the API alone
([deployment](deployment.md)).

Very many organizations on one machine need `refresh.intraday_minutes` at null or at several hours: its default reads
today and yesterday of every organization once an hour, which takes as many runs as the morning."""

_POSTGRES = """\
Questions of one organization use the index by organization and day, and do not grow with the others. What is asked of
all organizations at once reads all rows of its days, found by date: it grows with the days that are asked for. For sums
by organization ask `day_status`, which has one row a day."""

_REPEAT = """\
## Again, on your machine
```console
python -m benchmarks.scale                        # everything: an hour and a half, 10 GB
python -m benchmarks.scale postgres --rows 5000000
python -m benchmarks.scale morning --organizations 100
python -m benchmarks.scale --write                # everything, and replaces this page
```"""
