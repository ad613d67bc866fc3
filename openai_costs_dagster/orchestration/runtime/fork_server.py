"""The fork server: a process that loads definitions once and forks a process from itself for each run.

The server reads requests from standard input, one line each: the argument of `dagster api execute_run`, then `go` after
the id of the new process has been stored. If any other line or the end of the input follows, that process runs nothing.
The server writes the process id to standard output. It has no thread and keeps no connection open, which makes forking
safe. It ends after the end of its input and the end of its last run.
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
    """Serve requests until the end of standard input. Exits with an error if definitions do not load."""
    # Ctrl-C interrupts the whole process group. It is meant for the runs, and the server ends after its last run.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    loaded: set[str] = set()
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as output:
        # Definitions may print while they load. Standard output is redirected, because only process ids may reach the
        # pipe.
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
            with suppress(BrokenPipeError):  # The forked process may already have been killed.
                release.send(GO)


def _load(request: str, loaded: set[str]) -> None:
    """Load the definitions of a run into this process.

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
        os.dup2(nothing.fileno(), 0)  # Standard input holds the requests of other runs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with capture_interrupts():  # Records an interrupt that arrives before Dagster handles interrupts.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        try:
            gate.recv()
        except EOFError:
            return
        gate.close()
        execute_run_command.main([request], prog_name="dagster api execute_run", standalone_mode=False)


if __name__ == "__main__":
    main()
