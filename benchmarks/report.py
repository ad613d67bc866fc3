"""The report: formats load measurements as tables and writes docs/benchmarks.md."""

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
"""The stages of a run, by the number of loaded organizations."""

_PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_HEADINGS = {"first": "First load", "again": "Second load of the same days"}


def machine(postgres: str) -> str:
    """Return a description of the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{cores} cores, {memory:.0f} GiB of memory, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, PostgreSQL {postgres}"
    )


def stage_table(runs: Runs, stage: str, workload: Workload) -> str:
    """Return a Markdown table with the best and median times of each contender."""
    floor = min((_seconds(done, stage) for contender, done in runs.items() if contender == FLOOR), default=None)
    rows = [_row(contender, [run[stage] for run in done], floor, stage, workload) for contender, done in runs.items()]
    headings = ["", "best s", "median s", "to the floor", "CPU s", "PostgreSQL CPU s", "peak MiB", "rows/s", "stored"]
    return markdown(headings, rows)


def memory_table(memory: Memory) -> str:
    """Return a Markdown table with the peak memory of the load by number of organizations."""
    rows = [[str(count), *(f"{run[stage].memory:.0f}" for stage in STAGES)] for count, run in memory.items()]
    return markdown(["organizations", "peak MiB, first load", "peak MiB, second load"], rows)


def page(runs: Runs, memory: Memory, workload: Workload, postgres: str) -> str:
    """Return the text of docs/benchmarks.md."""
    parts = [_INTRODUCTION.format(workload=workload, date=dt.datetime.now(dt.UTC).date(), machine=machine(postgres))]
    parts += [f"## {_HEADINGS[stage]}\n{stage_table(runs, stage, workload)}" for stage in STAGES if runs]
    parts.append(
        "\n".join(
            [
                "| contender | description |",
                "|---|---|",
                *(f"| {contender.name} | {contender.description} |" for contender in runs),
            ]
        )
    )
    if memory:
        parts.append(f"## Memory\n{_MEMORY}\n\n{memory_table(memory)}")
    return "\n\n".join([*parts, _REPEAT])


def write(text: str) -> Path:
    """Write the page and return its path."""
    _PAGE.write_text(text, encoding="utf-8")
    return _PAGE


def _seconds(done: Sequence[Mapping[str, Stage]], stage: str) -> float:
    return min(run[stage].seconds for run in done)


def _row(
    contender: Contender, stages: Sequence[Stage], floor: float | None, stage: str, workload: Workload
) -> list[str]:
    best = min(result.seconds for result in stages)
    return [
        contender.name,
        f"{best:.2f}",
        f"{statistics.median(result.seconds for result in stages):.2f}",
        f"{best / floor:.2f} x" if floor else "",
        f"{min(result.cpu for result in stages):.2f}",
        f"{min(result.postgres_cpu for result in stages):.2f}",
        f"{max(result.memory for result in stages):.0f}",
        f"{workload.total_rows / best:,.0f}",
        "; ".join(dict.fromkeys(_stored(result, stage, workload) for result in stages)),
    ]


def _stored(result: Stage, stage: str, workload: Workload) -> str:
    texts = ["exact" if not result.wrong_sums else f"{result.wrong_sums} of {workload.organizations} sums NOT exact"]
    if result.rows != workload.total_rows:
        texts.append(f"{result.rows:,} of {workload.total_rows:,} ROWS")
    if result.revisions is not None:
        expected = workload.restatements if stage == "again" else 0
        texts.append(
            f"{result.revisions} restatements recorded" + ("" if result.revisions == expected else f" OF {expected}")
        )
    return ", ".join(texts)


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    lines = [headings, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    texts = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    texts.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(texts)


_INTRODUCTION = """\
# Load benchmark

The workload has {workload.organizations} organizations x {workload.days} days x {workload.rows} rows per day: \
{workload.total_rows:,} rows. Every contender reads it over
HTTP from the same local server and stores it in the same local PostgreSQL server. Each run uses new processes and a new
database. All figures come from one run of `python -m benchmarks`.
Measured {date} on {machine}.

- **best s**, **median s**: wall clock time without imports and installation. Creating tables is included for dlt and
  `backfill` only.
- **to the floor**: the best time relative to the best time of the floor.
- **CPU s**, **PostgreSQL CPU s**: CPU time of the contender's processes and of PostgreSQL.
- **peak MiB**: peak memory of the largest process, added up if a contender uses several processes.
- **stored**: *exact* if the sum of every organization is correct to the last digit."""

_MEMORY = "The peak memory of the load does not grow with the number of organizations."

_REPEAT = """\
## Other benchmarks
| benchmark | compared with | page |
|---|---|---|
| detection: recall, precision, delay | common rules, forecasts, an oracle | [detection](detection-benchmark.md) |
| forecasts of a month and a quarter | four simple forecasts | [forecasts](forecast-benchmark.md) |
| many organizations, many rows | one organization, one code location | [scale](scale.md) |

## Run the benchmark
```console
make bench                            # all four benchmarks; takes an hour
python -m benchmarks                  # this page; takes some minutes
python -m benchmarks floor ours       # only some contenders
python -m benchmarks --write          # replace this page
```

The benchmark installs dlt into its own environment, `benchmarks/.venv-dlt`. If the installation fails, the benchmark
skips dlt and prints a warning. The rows are generated by `benchmarks/workload.py` and are the same in every run:
amounts as strings of 34 digits, some as numbers, zeros as `0E-6176`. In the second load, one row of every tenth day has
a different amount.
"""
