"""Puts measurements into tables, and into docs/benchmarks.md where that is asked for."""

from __future__ import annotations

import datetime as dt
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from benchmarks.catalogue import FLOOR, Contender
from benchmarks.measuring import Stage
from benchmarks.workload import STAGES, Workload

Runs = Mapping[Contender, Sequence[Mapping[str, Stage]]]
Memory = Mapping[int, Mapping[str, Stage]]
"""By how many organizations were loaded."""

_PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_HEADINGS = {"first": "First load", "again": "The same days again"}


def machine(postgres: str) -> str:
    """What it was measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{cores} cores, {memory:.0f} GiB of memory, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, PostgreSQL {postgres}"
    )


def stage_table(runs: Runs, stage: str, workload: Workload) -> str:
    """One row per contender, fastest measured times and medians, as Markdown."""
    floor = min((_seconds(done, stage) for who, done in runs.items() if who == FLOOR), default=None)
    rows = [_row(who, [run[stage] for run in done], floor, stage, workload) for who, done in runs.items()]
    headings = ["", "best s", "median s", "to the floor", "CPU s", "PostgreSQL's", "peak MiB", "rows/s", "stored"]
    return markdown(headings, rows)


def memory_table(memory: Memory) -> str:
    """Peak memory of our load by the number of organizations, as Markdown."""
    rows = [[str(count), *(f"{run[stage].memory:.0f}" for stage in STAGES)] for count, run in memory.items()]
    return markdown(["organizations", "peak MiB, first load", "peak MiB, again"], rows)


def page(runs: Runs, memory: Memory, workload: Workload, postgres: str) -> str:
    """All of docs/benchmarks.md."""
    parts = [_INTRODUCTION.format(workload=workload, date=dt.datetime.now(dt.UTC).date(), machine=machine(postgres))]
    parts += [f"## {_HEADINGS[stage]}\n{stage_table(runs, stage, workload)}" for stage in STAGES if runs]
    parts.append("\n".join(["| | what it does |", "|---|---|", *(f"| {who.name} | {who.what} |" for who in runs)]))
    if memory:
        parts.append(f"## Memory\n{_MEMORY}\n\n{memory_table(memory)}")
    return "\n\n".join([*parts, _REPEAT])


def write(text: str) -> Path:
    """Replaces the page."""
    _PAGE.write_text(text, encoding="utf-8")
    return _PAGE


def _seconds(done: Sequence[Mapping[str, Stage]], stage: str) -> float:
    return min(run[stage].seconds for run in done)


def _row(
    contender: Contender, stages: Sequence[Stage], floor: float | None, stage: str, workload: Workload
) -> list[str]:
    best = min(one.seconds for one in stages)
    return [
        contender.name,
        f"{best:.2f}",
        f"{statistics.median(one.seconds for one in stages):.2f}",
        f"{best / floor:.2f} x" if floor else "",
        f"{min(one.cpu for one in stages):.2f}",
        f"{min(one.postgres_cpu for one in stages):.2f}",
        f"{max(one.memory for one in stages):.0f}",
        f"{workload.rows_in_all / best:,.0f}",
        "; ".join(dict.fromkeys(_stored(one, stage, workload) for one in stages)),
    ]


def _stored(found: Stage, stage: str, workload: Workload) -> str:
    said = ["exact" if not found.wrong_sums else f"{found.wrong_sums} of {workload.organizations} sums NOT exact"]
    if found.rows != workload.rows_in_all:
        said.append(f"{found.rows:,} of {workload.rows_in_all:,} ROWS")
    if found.revisions is not None:
        due = workload.restatements if stage == "again" else 0
        said.append(f"{found.revisions} restatements noted" + ("" if found.revisions == due else f" OF {due}"))
    return ", ".join(said)


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that reads well as text too."""
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    texts.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(texts)


_INTRODUCTION = """\
# How fast it is

{workload.organizations} organizations x {workload.days} days x {workload.rows} rows a day: \
{workload.rows_in_all:,} rows, read over HTTP from one local server and stored in
one local PostgreSQL by every contender in turn, each run in fresh processes against a fresh database, all in one run of
`python -m benchmarks`. Measured {date} on {machine}.

Times are wall clock, without imports and installation and, but for dlt and `backfill`, without creating tables; CPU is
seconds of the contender's own processes, and PostgreSQL's beside it; memory is the peak of its largest process, added
up for processes side by side. *Exact*: every organization's sum is the true one to the last digit."""

_MEMORY = "What the load holds does not grow with the number of organizations."

_REPEAT = """\
## The others
| what | beside whom | figures |
|---|---|---|
| detection: recall, precision, delay | rules of today, forecasts, an oracle | [detection](detection-benchmark.md) |
| forecasts of a month and a quarter | four simple forecasts | [forecasts](forecast-benchmark.md) |
| many organizations, many rows | one organization, one code location | [scale](scale.md) |

## Again, on your machine
```console
make bench                            # everything, these three too: an hour
python -m benchmarks                  # this page; some minutes
python -m benchmarks floor ours       # only some
python -m benchmarks --write          # and replaces this page
```

dlt gets an environment of its own, `benchmarks/.venv-dlt`, when it is first measured; where it cannot be installed, it
is left out, and that is said. Rows are made up the same way each time (`benchmarks/workload.py`): amounts as strings of
34 digits, some as numbers, zeros as `0E-6176`. When the days are read again, one row of every tenth day has another
amount.
"""
