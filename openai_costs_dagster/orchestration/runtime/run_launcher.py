"""Starts runs from a process that has loaded their definitions already, and as Dagster does where that cannot be.

Of the 4 CPU seconds of a run of an ordinary morning two are for importing Dagster and loading definitions
(docs/decisions/0022-run-launcher.md). This is Dagster's default launcher otherwise, put in place by `dagster.yaml`,
which is how Dagster lets launchers be exchanged. It is for one machine: clusters have launchers of their own.
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
import psutil
from dagster._core.events import EngineEventData
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData, serialize_value
from typing_extensions import override

from openai_costs_dagster.orchestration.runtime import fork_server, process_id
from openai_costs_dagster.orchestration.runtime.process_id import PROCESS_TAG, State
from openai_costs_dagster.user_input import env_variable

_PATIENCE = 60.0  # seconds for definitions to load; runs wait for them, and Dagster waits 900 s for a run to start
_REST = 300.0  # seconds, after definitions did not load, in which nobody waits for them
_BY_DAGSTER = "dagster"
"""Marks the tag of a run that Dagster's own launcher started; the process that launched it follows."""

_ENDED = "the process that loads definitions has ended; what it said is in the log of the daemon"


class ForkServerUnavailable(Exception):
    """Definitions were not loaded, so there is nothing to fork a run from."""


class RunLauncher(dg.DefaultRunLauncher):
    """`DefaultRunLauncher` whose runs are forked from one process, which is made anew when definitions are."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._lock = threading.Lock()
        self._source: _Source | None = None
        self._is_disposed = False
        self._resting_until = 0.0
        self._made_of: dict[str, object] = {}

    @override
    def launch_run(self, context: LaunchRunContext) -> None:
        """Starts a run's process, which is noted in the run's tags."""
        try:
            with self._lock:
                self._fork(context)
        except ForkServerUnavailable as error:
            run = context.dagster_run
            # The tag may name a process that will not run this.
            by_dagster = f"{run.run_id} {_BY_DAGSTER} {process_id.Process.of()}"
            self._instance.add_run_tags(run.run_id, {PROCESS_TAG: by_dagster})
            self._instance.report_engine_event(f"Started as Dagster starts runs: {error}", run)
            super().launch_run(context)

    @override
    def terminate(self, run_id: str) -> bool:
        """Interrupts a run, or kills it where it has not begun; says whether there was anything to end."""
        run = self._instance.get_run_by_id(run_id)
        worker = _process_of(run) if run and not run.is_finished else None
        if not run or not worker or worker.state is State.UNKNOWN:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        self._instance.report_run_canceling(run)
        has_begun = run.status is dg.DagsterRunStatus.STARTED
        was_there = worker.send(signal.SIGINT if has_begun else signal.SIGKILL)
        if not (has_begun and was_there):  # else it says so itself
            self._instance.report_run_canceled(run)
        return was_there

    @property
    @override
    def supports_check_run_worker_health(self) -> bool:
        return True

    @override
    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Dagster ends a run whose process has ended. Runs of other hosts and of other launchers count as running."""
        worker = _process_of(run)
        state = worker.state if worker else self._state_by_dagster(run)
        if state is State.ENDED:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its process has ended")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    @override
    def dispose(self) -> None:
        """Runs that are under way go on."""
        with self._lock:
            self._is_disposed = True
            self._part()
        super().dispose()

    def _state_by_dagster(self, run: dg.DagsterRun) -> State:
        """The state of a process that Dagster's own launcher started here: it writes its number into the run's log.

        A process that is younger than the note was given the number later.
        """
        owner, _, launcher = run.tags.get(PROCESS_TAG, "").partition(f" {_BY_DAGSTER} ")
        started_by = process_id.Process.parse(launcher)
        if owner != run.run_id or started_by is None or started_by.place != process_id.here():
            return State.UNKNOWN
        noted = [
            (int(str(data.metadata["pid"].value)), entry.timestamp)
            for entry in self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
            if entry.dagster_event
            and isinstance(data := entry.dagster_event.event_specific_data, EngineEventData)
            and "pid" in data.metadata
        ]
        if not noted:
            return State.UNKNOWN
        pid, at = noted[-1]
        try:
            process = psutil.Process(pid)
            is_the_same = process.create_time() <= at + 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return State.ENDED
        return State.RUNNING if is_the_same else State.ENDED

    def _fork(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        if self._is_outdated(context):
            self._part()
            self._resting_until = 0.0
        if why := self._why_not(run):
            raise ForkServerUnavailable(why)
        assert run.job_code_origin  # noqa: S101 - else there is a reason why not
        order = ExecuteRunArgs(run.job_code_origin, run.run_id, self._instance.get_ref())

        def note(pid: int) -> None:
            tag = process_id.tag_of(run.run_id, process_id.Process.of(pid))
            self._instance.add_run_tags(run.run_id, {PROCESS_TAG: tag})

        source = self._source or _Source()
        self._source = None
        with ExitStack() as otherwise:  # who knows what it would take the next line for
            otherwise.callback(source.kill)
            try:
                source.fork(serialize_value(order), note)
            except ForkServerUnavailable:
                self._resting_until = time.monotonic() + _REST
                raise
            otherwise.pop_all()
        self._source = source
        self._run_ids.add(run.run_id)

    def _why_not(self, run: dg.DagsterRun) -> str | None:
        if self._is_disposed:
            return "nothing new is begun at the end"
        if platform.system() == "Darwin":
            return "on macOS a process that uses the system's libraries must not be forked"
        if run.job_code_origin is None:
            return "the run does not say where its definitions are"
        if run.job_code_origin.executable_path != sys.executable:
            return "its code location has a Python of its own"
        if time.monotonic() < self._resting_until:
            return "definitions did not load a moment ago"
        return None

    def _is_outdated(self, context: LaunchRunContext) -> bool:
        """Whether definitions may be others by now: their code location was loaded again, or the file has changed."""
        made_of: dict[str, object] = {"": _version(env_variable("OPENAI_COSTS_CONFIG"))}
        origin = context.dagster_run.remote_job_origin
        if origin and context.workspace:
            name = origin.repository_origin.code_location_origin.location_name
            location = context.workspace.get_code_location(name)
            made_of[name] = location.server_id if isinstance(location, GrpcServerCodeLocation) else None
        known, self._made_of = self._made_of, self._made_of | made_of
        return self._made_of != made_of | known

    def _part(self) -> None:
        if self._source:
            self._source.part()
        self._source = None


class _Source:
    """A process of `preloaded`; orders are given one after the other."""

    def __init__(self) -> None:
        program = [sys.executable, "-m", fork_server.__name__]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603 - ours

    def fork(self, order: str, note: Callable[[int], None]) -> None:
        """Makes a process for an order, which begins when it has been noted. Raises ForkServerUnavailable."""
        try:
            self._say(order)
            note(self._pid())
            self._say(fork_server.GO)
        except BrokenPipeError:
            raise ForkServerUnavailable(_ENDED) from None

    def part(self) -> None:
        """It ends by itself, after the last of its runs."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream  # noqa: S101 - asked for above
            stream.close()
        threading.Thread(target=self._process.wait, daemon=True).start()  # someone must bury it

    def kill(self) -> None:
        """It may not listen any more; its runs go on."""
        self._process.kill()
        self._process.wait()
        self.part()

    def _say(self, line: str) -> None:
        assert self._process.stdin  # noqa: S101 - asked for above
        self._process.stdin.write(f"{line}\n".encode())

    def _pid(self) -> int:
        assert self._process.stdout  # noqa: S101 - asked for above
        answers = select.poll()
        answers.register(self._process.stdout, select.POLLIN)
        if not answers.poll(_PATIENCE * 1000):
            raise ForkServerUnavailable(f"definitions did not load within {_PATIENCE:.0f} s")
        answer = self._process.stdout.readline()
        if not answer:
            raise ForkServerUnavailable(_ENDED)
        return int(answer)


def _process_of(run: dg.DagsterRun) -> process_id.Process | None:
    return process_id.of_run(run.run_id, run.tags.get(PROCESS_TAG))


def _version(file: str | None) -> tuple[int, ...] | None:
    """Another one after each change of a file; null where there is none."""
    try:
        status = Path(file).stat() if file else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status else None
