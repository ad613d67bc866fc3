"""The contenders of the load benchmark and the queries for the rows that they store."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import dlt_environment

_OURS = "select organization, count(*), sum(amount) from openai_costs.cost_rows group by 1"


@dataclass(frozen=True)
class Contender:
    """A program that loads the workload into PostgreSQL."""

    name: str
    module: str
    """The name of its module in `benchmarks.contenders`."""
    description: str
    stored: str
    """A query that returns the name, row count and sum of each organization."""
    revisions: str | None = None
    """A query that returns the number of recorded restatements."""
    processes: int = 1
    """The number of parallel processes."""
    runs: int = 3
    """The default number of runs."""
    python: str = sys.executable
    """The path of the interpreter."""


def _ours(name: str, module: str, description: str, *, processes: int = 1, runs: int = 3) -> Contender:
    return Contender(name, module, description, _OURS, "select count(*) from openai_costs.revisions", processes, runs)


FLOOR = Contender(
    "floor",
    "floor",
    "fetch, decode, delete and COPY in one transaction per organization, without checks or history",
    "select organization, count(*), sum(amount) from costs group by 1",
)
OURS = _ours(
    "ours", "ours", "the load: fetch, decode, check, replace, revisions, raw responses; one organization at a time"
)
OURS_2 = _ours("ours-2", "ours", "the load in two parallel processes", processes=2)
BACKFILL = _ours(
    "backfill", "backfill", "the command `openai-costs backfill`: the load and Dagster's event log", runs=2
)
DLT = "dlt"
_BUILT_IN = {contender.name: contender for contender in (FLOOR, OURS, OURS_2, BACKFILL)}
NAMES = (*_BUILT_IN, DLT)


def contenders(names: Sequence[str]) -> list[Contender]:
    """Return the named contenders, or all contenders. If dlt cannot be installed, print a warning and omit dlt."""
    wanted = names or NAMES
    chosen = [_BUILT_IN[name] for name in wanted if name != DLT]
    return [*chosen, *_dlt()] if DLT in wanted else chosen


def _dlt() -> list[Contender]:
    interpreter = dlt_environment.python()
    if interpreter is None:
        return []
    description = (
        f"dlt {dlt_environment.version(interpreter)}: rest_api source, merge by primary key, CSV, a process per core"
    )
    stored = "select organization, count(*), sum(amount::numeric) from dlt_costs.costs group by 1"
    return [Contender(DLT, "dlt_merge", description, stored, runs=2, python=interpreter)]
