"""A worker process of the command line, which executes ranges of partitions as Dagster runs.

The worker reads tasks from standard input, and writes progress and results to standard output as one JSON object per
line. Dagster's log goes to standard error, which the parent process redirects to a file.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import sys
import uuid
from dataclasses import asdict
from typing import Any, TextIO

import dagster as dg
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import DBAPIError

from openai_costs_dagster import configuration
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.orchestration import asset_keys, progress
from openai_costs_dagster.orchestration.build import build_definitions, partitioned_asset_keys
from openai_costs_dagster.orchestration.partitions import range_tags
from openai_costs_dagster.orchestration.runtime import process_id
from openai_costs_dagster.orchestration.runtime.gc_tuning import freeze_loaded_objects
from openai_costs_dagster.orchestration.runtime.storage_session import storage_failure


def main() -> None:
    """Execute tasks until standard input ends."""
    # A shell starts background jobs with SIGINT ignored, and child processes inherit this. Without this line, Ctrl-C
    # would not stop a run of `openai-costs backfill &`.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The parent process parses every line of this pipe as JSON. Code that prints, and Dagster's compute logs, would
    # break it, so file descriptor 1 is pointed to standard error.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as output:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        _execute_tasks(output)


def _execute_tasks(output: TextIO) -> None:
    def send(message: dict[str, Any]) -> None:
        output.write(json.dumps(message) + "\n")
        output.flush()

    settings = configuration.load()
    job = build_definitions(settings).get_repository_def().get_implicit_global_asset_job_def()
    freeze_loaded_objects()
    with dg.DagsterInstance.get() as instance, progress.listening(lambda step: send(asdict(step))):
        for line in sys.stdin:
            task = json.loads(line)
            send(run_task(job, instance, settings.organization(task["organization"]), task))


def run_task(
    job: dg.JobDefinition, instance: dg.DagsterInstance, organization: configuration.Organization, task: dict[str, Any]
) -> dict[str, Any]:
    """Execute a task and return its result message, even if Dagster cannot store the events of the run."""
    try:
        return _materialize(job, instance, organization, task)
    except (DBAPIError, DagsterPostgresException) as error:
        failure = storage_failure(error)
        if failure is None:
            raise
        # The run stays unfinished in the database. The parent process ends the run when the database accepts writes
        # again.
        return {"organization": organization.name, "run_id": None, "success": False, "error": str(failure)}


def _materialize(
    job: dg.JobDefinition, instance: dg.DagsterInstance, organization: configuration.Organization, task: dict[str, Any]
) -> dict[str, Any]:
    """Materialize all assets of an organization for the range of days of a task, and return the result message."""
    directory = [asset_keys.directory_key(organization)] if organization.read_names else []
    days = DayRange(dt.date.fromisoformat(task["first"]), dt.date.fromisoformat(task["last"]))

    def execute(assets: list[dg.AssetKey]) -> dg.ExecuteInProcessResult:
        # The tag that names the process also contains the id of the run, so the id is chosen before the run is created.
        run_id = str(uuid.uuid4())
        process = {process_id.PROCESS_TAG: process_id.tag_of(run_id, process_id.Process.of())}
        return job.execute_in_process(
            instance=instance,
            asset_selection=assets,
            tags={**range_tags(days), **task["tags"], **process},
            run_id=run_id,
            # The exception of a failed step would end the worker, which still has to execute further tasks.
            raise_on_error=False,
        )

    result = execute(partitioned_asset_keys(organization) + directory)
    materialized = {event.asset_key for event in result.get_asset_materialization_events()}
    allocated = asset_keys.allocated_costs_key(organization)
    if asset_keys.costs_key(organization) in materialized and allocated not in materialized:
        # Dagster skips the allocation if the costs or the usage of any day failed. A second run allocates the days that
        # were stored.
        execute([allocated])
    return {
        "organization": organization.name,
        "run_id": result.run_id,
        "success": result.success,
        "error": _error_of(result),
    }


def _error_of(result: dg.ExecuteInProcessResult) -> str | None:
    """Return the messages of all failed steps, joined by semicolons, or None if no step failed."""
    messages = []
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            description = failure.user_failure_data.description if failure.user_failure_data else None
            # Only the first line is used: SQLAlchemy appends the SQL statement and its parameters in further lines.
            first_line = failure.error.message.strip().partition("\n")[0] if failure.error else "a step failed"
            messages.append(description or first_line)
    return "; ".join(messages) or None


if __name__ == "__main__":
    main()
