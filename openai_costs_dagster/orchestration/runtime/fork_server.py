"""A process that has loaded definitions, and forks a run's process from itself for each run that it is told of.

Reads orders from standard input, a line each: what `dagster api execute_run` takes, then `go` once the process that
was made for it has been written down; anything else, or an end, and that process runs nothing. Answers with the number
of the process, a line, on standard output. It has no thread and keeps no connection, so forking is safe; and it
ends when standard input does, after the last of its runs.
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
    """Works until standard input ends. Ends with an error where definitions do not load."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # one for all of a group is for the runs
    loaded: set[str] = set()
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        for order in iter(sys.stdin.readline, ""):
            _load(order, loaded)
            _fork(order, answers)


def _fork(order: str, answers: TextIO) -> None:
    if threading.active_count() > 1:
        raise RuntimeError("loading definitions has started a thread: what it holds, a run would wait for without end")
    fork = multiprocessing.get_context("fork")
    gate, release = fork.Pipe(duplex=False)
    with release:
        with gate:
            process = fork.Process(target=_run, args=(order, gate, [release, answers]))
            process.start()
        print(process.pid, file=answers, flush=True)
        if sys.stdin.readline().strip() == GO:
            with suppress(BrokenPipeError):  # it may have been killed meanwhile
                release.send(GO)


def _load(order: str, loaded: set[str]) -> None:
    """Definitions stay where Dagster looks for them: with the modules that they are loaded from."""
    origin = deserialize_value(order, ExecuteRunArgs).job_origin
    name = serialize_value(origin)
    if name not in loaded:
        recon_job_from_origin(origin).get_definition()
        loaded.add(name)
        freeze_loaded_objects()


def _run(order: str, gate: Connection, of_the_parent: list[Connection | TextIO]) -> None:
    for one in of_the_parent:
        one.close()
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)  # orders are not for runs
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with capture_interrupts():  # one that comes too early for Dagster is kept for it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        try:
            gate.recv()
        except EOFError:
            return
        gate.close()
        execute_run_command.main([order], prog_name="dagster api execute_run", standalone_mode=False)


if __name__ == "__main__":
    main()
