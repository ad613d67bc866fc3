"""The protocol between the benchmark and a contender.

A contender prints a line when it is ready, reads the name of a stage from standard input, runs the stage and prints its
CPU time and peak memory as JSON.
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
"""A function that loads a stage."""


def run_stages(prepare: Callable[[Order], Load]) -> None:
    """Run a contender: call `prepare`, and then the returned function for every stage named on standard input."""
    # Libraries may print to standard output, which carries the results. Redirect their output to standard error.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as output:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        load = prepare(Order.from_json(sys.argv[1]))
        print(READY, file=output, flush=True)
        for line in sys.stdin:
            before = _cpu_seconds()
            load(line.strip())
            print(json.dumps({"cpu": _cpu_seconds() - before, "memory": _peak_memory()}), file=output, flush=True)


def _cpu_seconds() -> float:
    usages = [resource.getrusage(target) for target in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_memory() -> float:
    """Return the peak memory in MiB of this process or of its largest finished child process."""
    peaks = [resource.getrusage(target).ru_maxrss for target in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(peaks) / (1024 * 1024 if sys.platform == "darwin" else 1024)
