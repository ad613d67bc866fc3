"""A run launcher that forks each run from a process that has already loaded the definitions.

About half of the CPU time of an ordinary run goes to importing Dagster and loading definitions
(docs/decisions/0022-run-launcher.md). `openai-costs up` uses this launcher from 50 organizations on. The launcher only
works on a single machine. Clusters need another launcher, such as `K8sRunLauncher`.
"""

from __future__ import annotations

import platform
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
from dagster._core.launcher import LaunchRunContext
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData, serialize_value
from typing_extensions import override

from openai_costs_dagster.orchestration.runtime import fork_server, process_id
from openai_costs_dagster.orchestration.runtime.process_id import PROCESS_TAG, State
from openai_costs_dagster.orchestration.runtime.run_launcher import RunLauncher
from openai_costs_dagster.user_input import env_variable

# The time limit for loading definitions. Dagster gives each run 900 s to start, so that the code server can still start
# the run after this time.
_LOAD_TIMEOUT_S = 60.0
# The time after a failure to load definitions in which the code server starts all runs, before the fork server is tried
# again.
_BACKOFF_S = 300.0

_ENDED = "the fork server has ended while it loaded definitions; the log of the daemon shows its error"


class ForkServerUnavailable(Exception):
    """Raised when the fork server cannot start a run. The message gives the reason."""


class ForkingRunLauncher(RunLauncher):
    """A `RunLauncher` that forks runs from a fork server.

    The fork server is replaced when the definitions may have changed.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._lock = threading.Lock()
        self._fork_server: _ForkServer | None = None
        self._is_disposed = False
        self._backoff_until = 0.0
        self._loaded_versions: dict[str, object] = {}

    @override
    def launch_run(self, context: LaunchRunContext) -> None:
        """Fork a run from the fork server. If that is not possible, start the run in the code server."""
        try:
            with self._lock:
                self._fork(context)
        except ForkServerUnavailable as error:
            self._instance.report_engine_event(f"Started by the code server: {error}", context.dagster_run)
            super().launch_run(context)

    @override
    def terminate(self, run_id: str) -> bool:
        """Interrupt a run, or kill its process if the run has not started. Return whether the process was running."""
        run = self._instance.get_run_by_id(run_id)
        process = _process_of(run) if run and not run.is_finished else None
        if not run or not process or process.state is State.UNKNOWN:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        self._instance.report_run_canceling(run)
        has_started = run.status is dg.DagsterRunStatus.STARTED
        was_running = process.send(signal.SIGINT if has_started else signal.SIGKILL)
        # A run that was interrupted while its process was running reports its own cancellation.
        if not (has_started and was_running):
            self._instance.report_run_canceled(run)
        return was_running

    @override
    def dispose(self) -> None:
        """Let the fork server end after its last run, so that runs that have started can continue."""
        with self._lock:
            self._is_disposed = True
            self._close_fork_server()
        super().dispose()

    def _fork(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        if self._is_outdated(context):
            self._close_fork_server()
            # The definitions may have been repaired, so the fork server is tried again at once.
            self._backoff_until = 0.0
        if reason := self._reason_not_to_fork(run):
            raise ForkServerUnavailable(reason)
        assert run.job_code_origin  # noqa: S101 - checked by _reason_not_to_fork
        request = ExecuteRunArgs(run.job_code_origin, run.run_id, self._instance.get_ref())

        def record_process(pid: int) -> None:
            tag = process_id.tag_of(run.run_id, process_id.Process.of(pid))
            self._instance.add_run_tags(run.run_id, {PROCESS_TAG: tag})

        server = self._fork_server or _ForkServer()
        self._fork_server = None
        with ExitStack() as on_failure:
            # A fork server whose request failed halfway would read the next request as the missing line, so it is
            # killed.
            on_failure.callback(server.kill)
            try:
                server.fork(serialize_value(request), record_process)
            except ForkServerUnavailable:
                self._backoff_until = time.monotonic() + _BACKOFF_S
                raise
            on_failure.pop_all()
        self._fork_server = server
        self._run_ids.add(run.run_id)

    def _reason_not_to_fork(self, run: dg.DagsterRun) -> str | None:
        if self._is_disposed:
            return "the run launcher has been closed"
        if platform.system() == "Darwin":
            return "on macOS a process that uses the system's libraries must not be forked"
        if run.job_code_origin is None:
            return "the run does not record where its definitions are"
        if run.job_code_origin.executable_path != sys.executable:
            return "the code location of the run uses another Python interpreter"
        if time.monotonic() < self._backoff_until:
            return "the definitions failed to load within the last five minutes"
        return None

    def _is_outdated(self, context: LaunchRunContext) -> bool:
        """Return whether the code location was reloaded, or the configuration file changed, since the last run."""
        versions: dict[str, object] = {"": _version(env_variable("OPENAI_COSTS_CONFIG"))}
        origin = context.dagster_run.remote_job_origin
        if origin and context.workspace:
            name = origin.repository_origin.code_location_origin.location_name
            location = context.workspace.get_code_location(name)
            versions[name] = location.server_id if isinstance(location, GrpcServerCodeLocation) else None
        before, self._loaded_versions = self._loaded_versions, self._loaded_versions | versions
        return self._loaded_versions != versions | before

    def _close_fork_server(self) -> None:
        if self._fork_server:
            self._fork_server.close()
        self._fork_server = None


class _ForkServer:
    """A process that executes the module `fork_server` and serves one request at a time."""

    def __init__(self) -> None:
        # The pipes are unbuffered: a byte in a Python buffer would be invisible to `poll`, which would then time out.
        program = [sys.executable, "-m", fork_server.__name__]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603 - our own module

    def fork(self, request: str, record_process: Callable[[int], None]) -> None:
        """Fork a process for a run. The run starts after `record_process` has stored the process id.

        Raises `ForkServerUnavailable` if the fork server has ended or does not load the definitions in time.
        """
        try:
            self._write(request)
            record_process(self._read_pid())
            self._write(fork_server.GO)
        except BrokenPipeError:
            raise ForkServerUnavailable(_ENDED) from None

    def close(self) -> None:
        """Close the pipes to the fork server, which then ends after the last of its runs."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream  # noqa: S101 - both are pipes
            stream.close()
        # Wait for the process in a thread, because an ended child process stays a zombie until its parent waits for it.
        threading.Thread(target=self._process.wait, daemon=True).start()

    def kill(self) -> None:
        """Kill a fork server that may not read its pipe any more. Runs that the fork server has started continue."""
        self._process.kill()
        self._process.wait()
        self.close()

    def _write(self, line: str) -> None:
        assert self._process.stdin  # noqa: S101 - a pipe
        self._process.stdin.write(f"{line}\n".encode())

    def _read_pid(self) -> int:
        assert self._process.stdout  # noqa: S101 - a pipe
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        if not poll.poll(_LOAD_TIMEOUT_S * 1000):
            raise ForkServerUnavailable(f"definitions did not load within {_LOAD_TIMEOUT_S:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise ForkServerUnavailable(_ENDED)
        return int(line)


def _process_of(run: dg.DagsterRun) -> process_id.Process | None:
    return process_id.of_run(run.run_id, run.tags.get(PROCESS_TAG))


def _version(file: str | None) -> tuple[int, ...] | None:
    """Return a value that differs after each change of a file, or None if the file does not exist."""
    try:
        status = Path(file).stat() if file else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status else None
