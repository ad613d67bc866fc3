"""Executes ranges of partitions in worker processes without Dagster's daemon, several organizations at a time."""

from __future__ import annotations

import datetime as dt
import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import dagster as dg

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.runs.abandoned_runs import CREATED, STARTED, UnfinishedRun
from openai_costs_dagster.orchestration.runtime.process_id import PROCESS_TAG

# Equal to `max_concurrent_runs` in dagster.yaml, the number of runs that `openai-costs up` executes at a time.
_MAX_WORKERS = 4
# The time that an interrupted worker has to end its run before it is killed.
_INTERRUPT_TIMEOUT_S = 30.0
_UNFINISHED = [dg.DagsterRunStatus(status) for status in CREATED | STARTED]


@dataclass(frozen=True)
class Task:
    """A range of days of one organization, which a worker executes as one run."""

    organization: str
    days: DayRange
    tags: Mapping[str, str] = field(default_factory=dict)


class Step(NamedTuple):
    """The progress of a task: a number of days that were stored or failed, or a message for the person who waits."""

    organization: str
    days: int
    message: str | None


@dataclass(frozen=True)
class Result:
    """The result of a task. `failed` maps each failed day to its reason. `spend` is in US dollars."""

    organization: str
    success: bool
    stored: int = 0
    requests: int = 0
    spend: str = "0"
    other_spend: Sequence[str] = ()
    """The spend in currencies other than US dollars, as formatted amounts. `spend` does not include it."""
    failed: Mapping[str, str] = field(default_factory=dict)
    outside_retention: Sequence[str] = ()
    """Those failed days that are older than the year for which OpenAI serves costs."""
    notes: Sequence[str] = ()
    """Warnings about days that were stored."""
    error: str | None = None
    """The error that ended the whole run, or None if the run succeeded or only single days failed."""


def run_all(
    tasks: Sequence[Task],
    *,
    environment: Mapping[str, str],
    log_file: Path,
    on_step: Callable[[Step], None],
) -> Iterator[Result]:
    """Execute all tasks and yield each result as soon as its task has finished.

    `on_step` is called with the progress of every task. `log_file` receives the logs of the worker processes.
    """
    tasks_left: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in tasks:
        tasks_left.put(task)
    messages: queue.SimpleQueue[Result | Step | None] = queue.SimpleQueue()
    with ExitStack() as stack:
        log = stack.enter_context(log_file.open("ab"))
        workers = min(len(tasks), os.cpu_count() or 1, _MAX_WORKERS)
        threads = stack.enter_context(ThreadPoolExecutor(workers))
        processes = [stack.enter_context(_worker(environment, log)) for _ in range(workers)]
        feeders = [threads.submit(_feed, process, tasks_left, messages, log_file) for process in processes]
        while workers:
            message = messages.get()
            if message is None:
                workers -= 1
            elif isinstance(message, Result):
                yield message
            else:
                on_step(message)
        # A future raises the exception of its thread only when its result is requested.
        for feeder in feeders:
            feeder.result()


def end_abandoned_runs(instance: dg.DagsterInstance, prefix: Sequence[str], now: dt.datetime) -> list[str]:
    """End the unfinished runs of our assets that no process executes any more. Return a message for each ended run.

    An unfinished run prevents further refreshes of its organization, and without a daemon no other process ends it.
    `prefix` is the asset key prefix.
    """
    messages = []
    for record in instance.get_run_records(filters=dg.RunsFilter(statuses=_UNFINISHED)):
        run = record.dagster_run
        unfinished = UnfinishedRun(
            run.run_id, run.status.value, run.tags.get(PROCESS_TAG), record.create_timestamp, record.update_timestamp
        )
        reason = unfinished.why_abandoned(now) if _is_ours(run, prefix) else None
        if reason and _end(instance, run.run_id, reason):
            messages.append(f"ended the run {run.run_id}: {reason}")
    return messages


def _end(instance: dg.DagsterInstance, run_id: str, reason: str) -> bool:
    """End a run and return True, or return False if the run has finished since it was listed.

    A process ends right after its run, so that a finished run may look abandoned for a moment.
    """
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, reason)
    else:
        instance.report_run_failed(run, reason)
    return True


def _is_ours(run: dg.DagsterRun, prefix: Sequence[str]) -> bool:
    return PROCESS_TAG in run.tags or any(
        list(key.path[: len(prefix)]) == list(prefix) for key in asset_keys.assets_of_run(run)
    )


def backfill_tags() -> dict[str, str]:
    """Return the tags of a run of `openai-costs backfill`.

    The tags prevent automatic retries, and set the trigger of the run to `backfill`, so that its findings send no
    alerts.
    """
    return {asset_keys.TRIGGER_TAG: "backfill", **asset_keys.NO_RUN_RETRIES}


@contextmanager
def _worker(environment: Mapping[str, str], log: IO[bytes]) -> Iterator[subprocess.Popen[str]]:
    """Start a worker process, and stop it at the end of the `with` block."""
    with subprocess.Popen(
        [sys.executable, "-m", "openai_costs_dagster.orchestration.runs.worker"],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_INTERRUPT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _feed(
    process: subprocess.Popen[str],
    tasks_left: queue.SimpleQueue[Task],
    messages: queue.SimpleQueue[Result | Step | None],
    log_file: Path,
) -> None:
    """Send tasks to a worker one by one until no task is left.

    The worker's progress and results are put into `messages`, followed by None.
    """
    assert process.stdin  # noqa: S101 - a pipe
    try:
        while True:
            messages.put(_follow(process, tasks_left.get_nowait(), messages, log_file))
    except queue.Empty:
        process.stdin.close()
        process.wait()
    finally:
        messages.put(None)


def _follow(
    process: subprocess.Popen[str],
    task: Task,
    messages: queue.SimpleQueue[Result | Step | None],
    log_file: Path,
) -> Result:
    """Send a task to a worker, put its progress into `messages`, and return its result."""
    assert process.stdin  # noqa: S101 - a pipe
    assert process.stdout  # noqa: S101 - a pipe
    request = {
        "organization": task.organization,
        "first": task.days.first.isoformat(),
        "last": task.days.last.isoformat(),
        "tags": dict(task.tags),
    }
    finished: dict[str, Any] = {}
    try:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            message = json.loads(line)
            if message.get("days_done") or message.get("message"):
                messages.put(Step(task.organization, message["days_done"], message["message"]))
            elif message.get("finished"):
                finished = message["finished"]
            elif "success" in message:
                error = None
                if not message["success"] and not finished.get("failed"):
                    error = message.get("error") or f"the run failed: see the log {log_file}"
                return Result(task.organization, message["success"], error=error, **finished)
    except BrokenPipeError:
        pass  # The worker process has ended. The result below reports this as an error.
    return Result(
        task.organization,
        success=False,
        error=f"the worker process ended before its run: see the log {log_file}",
        **finished,
    )
