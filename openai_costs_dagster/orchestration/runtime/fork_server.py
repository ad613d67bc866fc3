"""The fork server: a process that loads Dagster's definitions once, and forks a process from itself for each run.

A request is one line of standard input: the argument of `dagster api execute_run`. The fork server forks a process for
the run and writes the id of the forked process to standard output. The parent stores the process id and then sends the
line `go`, which starts the run. If any other line or the end of the input follows, the forked process ends without
executing the run.

The fork server has no second thread and keeps no connection open, because forked processes would inherit locks and
connections. The fork server ends when its input has ended and its last run is over.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

from dagster._cli.api import execute_run_command
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import deserialize_value, serialize_value
from dagster._utils.hosted_user_process import recon_job_from_origin
from dagster._utils.interrupts import capture_interrupts

from openai_costs_dagster.orchestration.runtime.gc_tuning import freeze_loaded_objects

GO = "go"


def main() -> None:
    """Serve requests until standard input ends. The process exits with an error if the definitions do not load."""
    # Ctrl-C sends SIGINT to the whole process group. Only the runs should be interrupted: the fork server ends after
    # its last run.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    loaded: set[str] = set()
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as output:
        # The parent parses every line of this pipe as a process id. Definitions may print while they load, so file
        # descriptor 1 is pointed to standard error.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        for request in iter(sys.stdin.readline, ""):
            _load(request, loaded)
            _fork(request, output)


def _fork(request: str, output: TextIO) -> None:
    if threading.active_count() > 1:
        raise RuntimeError(
            "loading definitions has started a thread; a forked run could wait forever for a lock of that thread"
        )
    context = multiprocessing.get_context("fork")
    gate, release = context.Pipe(duplex=False)
    with release:
        with gate:
            process = context.Process(target=_run, args=(request, gate, [release, output]))
            process.start()
        print(process.pid, file=output, flush=True)
        if sys.stdin.readline().strip() == GO:
            with suppress(BrokenPipeError):  # The launcher may have killed the forked process already.
                release.send(GO)


def _load(request: str, loaded: set[str]) -> None:
    """Load the definitions that a run needs into the fork server, unless they are already loaded.

    Forked runs inherit the loaded modules and need not import them again.
    """
    origin = deserialize_value(request, ExecuteRunArgs).job_origin
    name = serialize_value(origin)
    if name not in loaded:
        recon_job_from_origin(origin).get_definition()
        loaded.add(name)
        freeze_loaded_objects()


def _run(request: str, gate: Connection, inherited: list[Connection | TextIO]) -> None:
    for stream in inherited:
        stream.close()
    with Path(os.devnull).open() as nothing:
        # Standard input of the fork server contains the requests of other runs, so the run reads from /dev/null.
        os.dup2(nothing.fileno(), 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # An interrupt that arrives before Dagster handles interrupts is recorded instead of being lost.
    with capture_interrupts():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        try:
            gate.recv()
        except EOFError:
            return
        gate.close()
        execute_run_command.main([request], prog_name="dagster api execute_run", standalone_mode=False)


if __name__ == "__main__":
    main()
