"""`python -m benchmarks [NAME…]`: measures floor, ours, ours-2, backfill, dlt and memory; all by default."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence

from benchmarks import report
from benchmarks.catalogue import NAMES, OURS, Contender, contenders
from benchmarks.measuring import Servers, Stage, start_servers
from benchmarks.workload import ONE_DAY, STAGES, Workload

_MEMORY = "memory"
_MEMORY_COUNTS = (1, 5, 20)  # numbers of organizations


def main() -> None:
    """Measure, print the tables, and write docs/benchmarks.md with `--write`."""
    arguments = _arguments()
    yesterday = dt.datetime.now(dt.UTC).date() - ONE_DAY
    first = yesterday - (arguments.days - 1) * ONE_DAY
    workload = Workload(arguments.organizations, arguments.days, arguments.rows, first)
    names = [name for name in arguments.names if name != _MEMORY]
    chosen = contenders(names) if names or not arguments.names else []
    with start_servers(workload) as servers:
        print(f"{workload.total_rows:,} rows; {report.machine(servers.postgres)}", flush=True)
        runs = _alternating(servers, chosen, arguments.runs)
        memory = _memory(servers) if not arguments.names or _MEMORY in arguments.names else {}
        postgres = servers.postgres
    for stage in STAGES if runs else ():
        print(f"\n{stage}\n{report.stage_table(runs, stage, workload)}")
    if memory:
        print(f"\n{report.memory_table(memory)}")
    if arguments.write:
        print(f"\nWrote {report.write(report.page(runs, memory, workload, postgres)).name}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--organizations", type=int, default=20)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rows", type=int, default=100, help="rows per day")
    parser.add_argument("--runs", type=int, help="runs per contender (default: 3, or 2 for slow contenders)")
    parser.add_argument("--write", action="store_true", help="replace docs/benchmarks.md")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in {*NAMES, _MEMORY}:
            parser.error(f"{name!r} is unknown; choose from {', '.join((*NAMES, _MEMORY))}")
    return arguments


def _alternating(
    servers: Servers, chosen: Sequence[Contender], count: int | None
) -> dict[Contender, list[dict[str, Stage]]]:
    """Run all contenders in turn, then again, so that other load on the machine affects all of them."""
    runs: dict[Contender, list[dict[str, Stage]]] = {contender: [] for contender in chosen}
    for turn in range(count or max((contender.runs for contender in chosen), default=0)):
        for contender in chosen:
            if turn < (count or contender.runs):
                runs[contender].append(_print_run(contender.name, servers.run(contender)))
    return runs


def _memory(servers: Servers) -> dict[int, dict[str, Stage]]:
    counts = [count for count in _MEMORY_COUNTS if count <= servers.workload.organizations]
    return {count: _print_run(f"{OURS.name} of {count}", servers.run(OURS, count)) for count in counts}


def _print_run(name: str, run: dict[str, Stage]) -> dict[str, Stage]:
    costs = ", ".join(f"{stage} {run[stage].seconds:.2f} s {run[stage].memory:.0f} MiB" for stage in STAGES)
    print(f"  {name}: {costs}", flush=True)
    return run


if __name__ == "__main__":
    main()
