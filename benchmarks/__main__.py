"""`python -m benchmarks [NAME…]`: floor, ours, ours-2, backfill, dlt, memory; all of them by default."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence

from benchmarks import report
from benchmarks.catalogue import NAMES, OURS, Contender, contenders
from benchmarks.measuring import Bench, Stage, bench
from benchmarks.workload import ONE_DAY, STAGES, Workload

_MEMORY = "memory"
_FOR_MEMORY = (1, 5, 20)


def main() -> None:
    """Measures, prints, and writes docs/benchmarks.md where `--write` says so."""
    asked = _arguments()
    yesterday = dt.datetime.now(dt.UTC).date() - ONE_DAY
    first = yesterday - (asked.days - 1) * ONE_DAY
    workload = Workload(asked.organizations, asked.days, asked.rows, first)
    names = [name for name in asked.names if name != _MEMORY]
    chosen = contenders(names) if names or not asked.names else []
    with bench(workload) as running:
        print(f"{workload.rows_in_all:,} rows; {report.machine(running.postgres)}", flush=True)
        runs = _alternating(running, chosen, asked.runs)
        memory = _memory(running) if not asked.names or _MEMORY in asked.names else {}
        postgres = running.postgres
    for stage in STAGES if runs else ():
        print(f"\n{stage}\n{report.stage_table(runs, stage, workload)}")
    if memory:
        print(f"\n{report.memory_table(memory)}")
    if asked.write:
        print(f"\nwritten: {report.write(report.page(runs, memory, workload, postgres)).name}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--organizations", type=int, default=20)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rows", type=int, default=100, help="a day")
    parser.add_argument("--runs", type=int, help="of each, instead of 3, or 2 of the slow ones")
    parser.add_argument("--write", action="store_true", help="replace docs/benchmarks.md")
    asked = parser.parse_args()
    for name in asked.names:
        if name not in {*NAMES, _MEMORY}:
            parser.error(f"{name!r} is none of {', '.join((*NAMES, _MEMORY))}")
    return asked


def _alternating(
    running: Bench, chosen: Sequence[Contender], count: int | None
) -> dict[Contender, list[dict[str, Stage]]]:
    """Each contender in turn, then again: what else the machine does meets all of them."""
    runs: dict[Contender, list[dict[str, Stage]]] = {contender: [] for contender in chosen}
    for turn in range(count or max((contender.runs for contender in chosen), default=0)):
        for contender in chosen:
            if turn < (count or contender.runs):
                runs[contender].append(_told(contender.name, running.run(contender)))
    return runs


def _memory(running: Bench) -> dict[int, dict[str, Stage]]:
    counts = [count for count in _FOR_MEMORY if count <= running.workload.organizations]
    return {count: _told(f"{OURS.name} of {count}", running.run(OURS, count)) for count in counts}


def _told(name: str, run: dict[str, Stage]) -> dict[str, Stage]:
    costs = ", ".join(f"{stage} {run[stage].seconds:.2f} s {run[stage].memory:.0f} MiB" for stage in STAGES)
    print(f"  {name}: {costs}", flush=True)
    return run


if __name__ == "__main__":
    main()
