"""Runs ranges of partitions in processes of our own, several organizations side by side, with or without a daemon."""

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

_MOST_WORKERS = 4
_PATIENCE = 30.0  # seconds for a worker to end its run when we are interrupted
_UNFINISHED = [dg.DagsterRunStatus(status) for status in CREATED | STARTED]


@dataclass(frozen=True)
class Task:
    """One organization's range of days, to be materialized as one run."""

    organization: str
    days: DayRange
    tags: Mapping[str, str] = field(default_factory=dict)


class Step(NamedTuple):
    """Days done of a task, or a sentence about it."""

    organization: str
    days: int
    note: str | None


@dataclass(frozen=True)
class Result:
    """What came of a task; `failed` gives each failed day's reason, `spend` is in US dollars."""

    organization: str
    success: bool
    stored: int = 0
    requests: int = 0
    spend: str = "0"
    other_spend: Sequence[str] = ()
    """What was billed in other currencies, which `spend` does not include."""
    failed: Mapping[str, str] = field(default_factory=dict)
    outside_retention: Sequence[str] = ()
    """Those of the failed days that lie before what the API serves."""
    notes: Sequence[str] = ()
    """What a person should know of days that were stored."""
    error: str | None = None
    """What went wrong beside the days themselves."""


def run_all(
    tasks: Sequence[Task],
    *,
    environment: Mapping[str, str],
    log_file: Path,
    on_step: Callable[[Step], None],
) -> Iterator[Result]:
    """Runs every task and yields each result when it is there; `on_step` hears of days done in between."""
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    said: queue.SimpleQueue[Result | Step | None] = queue.SimpleQueue()
    with ExitStack() as stack:
        log = stack.enter_context(log_file.open("ab"))
        workers = min(len(tasks), os.cpu_count() or 1, _MOST_WORKERS)
        threads = stack.enter_context(ThreadPoolExecutor(workers))
        processes = [stack.enter_context(_worker(environment, log)) for _ in range(workers)]
        feeders = [threads.submit(_feed, process, waiting, said, log_file) for process in processes]
        while workers:
            message = said.get()
            if message is None:
                workers -= 1
            elif isinstance(message, Result):
                yield message
            else:
                on_step(message)
        for feeder in feeders:
            feeder.result()


def end_abandoned_runs(instance: dg.DagsterInstance, prefix: Sequence[str], now: dt.datetime) -> list[str]:
    """Ends the runs of our assets that no process executes any more; returns a sentence about each.

    Nobody else would end them without a daemon, and an unfinished run keeps its organization from being refreshed.
    `prefix` is what the keys of our assets begin with.
    """
    ended = []
    for record in instance.get_run_records(filters=dg.RunsFilter(statuses=_UNFINISHED)):
        run = record.dagster_run
        unfinished = UnfinishedRun(
            run.run_id, run.status.value, run.tags.get(PROCESS_TAG), record.create_timestamp, record.update_timestamp
        )
        why = unfinished.why_abandoned(now) if _is_ours(run, prefix) else None
        if why and _end(instance, run.run_id, why):
            ended.append(f"ended the run {run.run_id}: {why}")
    return ended


def _end(instance: dg.DagsterInstance, run_id: str, why: str) -> bool:
    """Ends a run unless it has finished since it was listed: a process ends right after its run."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, why)
    else:
        instance.report_run_failed(run, why)
    return True


def _is_ours(run: dg.DagsterRun, prefix: Sequence[str]) -> bool:
    return PROCESS_TAG in run.tags or any(
        list(key.path[: len(prefix)]) == list(prefix) for key in asset_keys.assets_of_run(run)
    )


def backfill_tags() -> dict[str, str]:
    """Marks a run as asked for by `openai-costs backfill`: what it finds does not alert."""
    return {asset_keys.TRIGGER_TAG: "backfill", **asset_keys.NO_RUN_RETRIES}


@contextmanager
def _worker(environment: Mapping[str, str], log: IO[bytes]) -> Iterator[subprocess.Popen[str]]:
    """A worker process that does not outlive us, however we end."""
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
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()


def _feed(
    process: subprocess.Popen[str],
    waiting: queue.SimpleQueue[Task],
    said: queue.SimpleQueue[Result | Step | None],
    log_file: Path,
) -> None:
    """Gives a worker one task after the other and passes on what it says, None at last."""
    assert process.stdin  # noqa: S101 - opened as pipes above
    try:
        while True:
            said.put(_follow(process, waiting.get_nowait(), said, log_file))
    except queue.Empty:
        process.stdin.close()
        process.wait()
    finally:
        said.put(None)


def _follow(
    process: subprocess.Popen[str],
    task: Task,
    said: queue.SimpleQueue[Result | Step | None],
    log_file: Path,
) -> Result:
    assert process.stdin  # noqa: S101
    assert process.stdout  # noqa: S101
    order = {
        "organization": task.organization,
        "first": task.days.first.isoformat(),
        "last": task.days.last.isoformat(),
        "tags": dict(task.tags),
    }
    finished: dict[str, Any] = {}
    try:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            message = json.loads(line)
            if message.get("days_done") or message.get("note"):
                said.put(Step(task.organization, message["days_done"], message["note"]))
            elif message.get("finished"):
                finished = message["finished"]
            elif "success" in message:
                error = None
                if not message["success"] and not finished.get("failed"):
                    error = message.get("error") or f"its run failed: see {log_file}"
                return Result(task.organization, message["success"], error=error, **finished)
    except BrokenPipeError:
        pass
    return Result(
        task.organization, success=False, error=f"its process ended in the middle: see {log_file}", **finished
    )
