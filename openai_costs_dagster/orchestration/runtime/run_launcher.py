"""Dagster's default run launcher, extended by a check for runs whose process has ended.

The class `RunLauncher` is used by `openai-costs up` with fewer than 50 organizations, and in containers
(deploy/dagster.yaml). From 50 organizations on, `openai-costs up` uses the subclass in `forking_run_launcher.py`.
"""

from __future__ import annotations

import time
from typing import Any

import dagster as dg
import psutil
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.events import EngineEventData
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value
from typing_extensions import override

from openai_costs_dagster.orchestration.runtime import process_id
from openai_costs_dagster.orchestration.runtime.process_id import PROCESS_TAG, State

_BY_CODE_SERVER = "dagster"
"""The word between the run id and the launching process in the process tag of a run that a code server starts."""

_GRPC_TIMEOUT_S = 5
# The time after a launch in which the code server may not know the run yet. Dagster's launch request alone may take 60
# s.
_LAUNCH_TIMEOUT_S = 90.0


class RunLauncher(dg.DefaultRunLauncher):
    """A `DefaultRunLauncher` that lets Dagster's run monitoring fail runs whose process has ended.

    A code server fails its own runs whose process died. If the code server dies together with its runs, Dagster's own
    launcher cannot detect that, and the runs would stay unfinished until `max_runtime_seconds`.
    """

    @override
    def launch_run(self, context: LaunchRunContext) -> None:
        """Start a run in the code server, and record the launching process in the run's tags."""
        run = context.dagster_run
        # The tag is set before the launch: Dagster always stores the whole run, so a later tag could overwrite a change
        # that the run itself has made.
        tag = f"{run.run_id} {_BY_CODE_SERVER} {process_id.Process.of()}"
        self._instance.add_run_tags(run.run_id, {PROCESS_TAG: tag})
        super().launch_run(context)

    @property
    @override
    def supports_check_run_worker_health(self) -> bool:
        return True

    @override
    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return `NOT_FOUND` if the process of a run has ended, and `RUNNING` if it is running or cannot be checked.

        Dagster's run monitoring calls this method once a minute for each run that has started, and fails the run on
        `NOT_FOUND`. The sensor for alerts calls this method for runs that are about to start.
        """
        process = process_id.of_run(run.run_id, run.tags.get(PROCESS_TAG))
        state = process.state if process else self._state_in_code_server(run)
        if state is State.ENDED:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the process of the run has ended")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def _state_in_code_server(self, run: dg.DagsterRun) -> State:
        """Return the state of a run that a code server executes, or `UNKNOWN` if it cannot be determined."""
        owner, _, text = run.tags.get(PROCESS_TAG, "").partition(f" {_BY_CODE_SERVER} ")
        launched_by = process_id.Process.parse(text)
        # An automatic retry inherits the tags of the run that it retries, so the tag may name the process of that run.
        if owner != run.run_id or launched_by is None:
            return State.UNKNOWN
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client and client.port:
            return self._state_by_answer(run, client)
        # Without a port, the code server is connected by a socket and therefore on the same host as its launcher. On
        # this host, the process id in the run's log can be checked.
        return self._state_by_log(run) if launched_by.place == process_id.here() else State.UNKNOWN

    def _state_by_answer(self, run: dg.DagsterRun, client: Any) -> State:
        """Return the state of a run according to its code server, which may run in another container.

        Runs end together with the container of their code server, so a server that does not know a run has been
        restarted.
        """
        launched_at = self._instance.get_run_stats(run.run_id).launch_time
        if launched_at is None or time.time() - launched_at < _LAUNCH_TIMEOUT_S:
            return State.UNKNOWN
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=_GRPC_TIMEOUT_S)
        except DagsterUserCodeUnreachableError:
            return State.UNKNOWN  # The code server may be restarting while its runs continue.
        is_executed = deserialize_value(answer, CanCancelExecutionResult).can_cancel
        return State.RUNNING if is_executed else State.ENDED

    def _state_by_log(self, run: dg.DagsterRun) -> State:
        """Return the state of the process whose id the run has written into its event log, or `UNKNOWN` without such an
        entry.
        """
        recorded = [
            (int(str(data.metadata["pid"].value)), entry.timestamp)
            for entry in self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
            if entry.dagster_event
            and isinstance(data := entry.dagster_event.event_specific_data, EngineEventData)
            and "pid" in data.metadata
        ]
        if not recorded:
            return State.UNKNOWN
        pid, recorded_at = recorded[-1]
        try:
            process = psutil.Process(pid)
            # A process that started after the log entry is another process to which the operating system gave the same
            # id.
            is_same = process.create_time() <= recorded_at + 1
            is_running = is_same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return State.ENDED
        return State.RUNNING if is_running else State.ENDED
