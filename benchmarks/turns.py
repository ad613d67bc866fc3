"""What a contender says and hears: it says when it is ready, and after each stage what the stage cost it.

Standard library alone. Wall time is measured by whoever gives the turns.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable

from benchmarks.workload import Order

READY = "ready"

Load = Callable[[str], None]
"""Loads a stage."""


def take_turns(prepare: Callable[[Order], Load]) -> None:
    """Runs a contender: `prepare` is not measured, what it returns is, once for every stage named on standard input."""
    # What libraries print must not reach the one who measures.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as output:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        load = prepare(Order.from_json(sys.argv[1]))
        print(READY, file=output, flush=True)
        for line in sys.stdin:
            before = _cpu_seconds()
            load(line.strip())
            print(json.dumps({"cpu": _cpu_seconds() - before, "memory": _peak_memory()}), file=output, flush=True)


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak_memory() -> float:
    """MiB at most held so far, by this process or the largest one that it started and has waited for."""
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(peaks) / (1024 * 1024 if sys.platform == "darwin" else 1024)
