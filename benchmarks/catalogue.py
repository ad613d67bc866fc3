"""Who is measured, and where what they stored is found."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import dlt_environment

_OURS = "select organization, count(*), sum(amount) from openai_costs.cost_rows group by 1"


@dataclass(frozen=True)
class Contender:
    """`module` is one of `benchmarks.contenders`; `stored` selects organization, rows and sum."""

    name: str
    module: str
    what: str
    stored: str
    revisions: str | None = None
    processes: int = 1
    runs: int = 3
    python: str = sys.executable


def _ours(name: str, module: str, what: str, *, processes: int = 1, runs: int = 3) -> Contender:
    return Contender(name, module, what, _OURS, "select count(*) from openai_costs.revisions", processes, runs)


FLOOR = Contender(
    "floor",
    "floor",
    "fetch, decode, delete + COPY in one transaction per organization; one pass, nothing checked or kept",
    "select organization, count(*), sum(amount) from costs group by 1",
)
OURS = _ours(
    "ours", "ours", "the load: fetch, decode, check, replace, revisions, raw pages; one organization after the other"
)
OURS_2 = _ours("ours-2", "ours", "the same in two processes side by side", processes=2)
BACKFILL = _ours(
    "backfill", "backfill", "the whole command `openai-costs backfill`: the load and Dagster's bookkeeping", runs=2
)
DLT = "dlt"
_AT_HAND = {one.name: one for one in (FLOOR, OURS, OURS_2, BACKFILL)}
NAMES = (*_AT_HAND, DLT)


def contenders(names: Sequence[str]) -> list[Contender]:
    """Those named, or all; without dlt where it cannot be had, which is said."""
    wanted = names or NAMES
    chosen = [_AT_HAND[name] for name in wanted if name != DLT]
    return [*chosen, *_dlt()] if DLT in wanted else chosen


def _dlt() -> list[Contender]:
    interpreter = dlt_environment.python()
    if interpreter is None:
        return []
    what = f"dlt {dlt_environment.version(interpreter)}: rest_api source, merge by primary key, CSV; a process per core"
    stored = "select organization, count(*), sum(amount::numeric) from dlt_costs.costs group by 1"
    return [Contender(DLT, "dlt_merge", what, stored, runs=2, python=interpreter)]
