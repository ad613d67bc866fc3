"""A process that runs ranges of partitions for the command line, recorded in Dagster's instance.

Reads tasks from standard input and writes what comes of them to standard output, a line of JSON each. Dagster's own
log goes to standard error of the process, which the caller keeps in a file.
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

from openai_costs_dagster import configuration
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.orchestration import asset_keys, progress
from openai_costs_dagster.orchestration.build import build_definitions, partitioned_asset_keys
from openai_costs_dagster.orchestration.partitions import range_tags
from openai_costs_dagster.orchestration.runtime import process_id
from openai_costs_dagster.orchestration.runtime.gc_tuning import freeze_loaded_objects


def main() -> None:
    """Works until standard input ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's children are born ignoring it
    # What anyone prints goes to the log, and Dagster's compute logs may redirect it: our messages have their own way.
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as output:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        _work(output)


def _work(output: TextIO) -> None:
    def say(message: dict[str, Any]) -> None:
        output.write(json.dumps(message) + "\n")
        output.flush()

    settings = configuration.load()
    job = build_definitions(settings).get_repository_def().get_implicit_global_asset_job_def()
    freeze_loaded_objects()
    with dg.DagsterInstance.get() as instance, progress.listening(lambda step: say(asdict(step))):
        for line in sys.stdin:
            task = json.loads(line)
            say(run_task(job, instance, settings.organization(task["organization"]), task))


def run_task(
    job: dg.JobDefinition, instance: dg.DagsterInstance, organization: configuration.Organization, task: dict[str, Any]
) -> dict[str, Any]:
    """One task's range of days, of all of an organization's assets; says what came of it."""
    named = [asset_keys.directory_key(organization)] if organization.read_names else []
    days = DayRange(dt.date.fromisoformat(task["first"]), dt.date.fromisoformat(task["last"]))

    def execute(assets: list[dg.AssetKey]) -> dg.ExecuteInProcessResult:
        run_id = str(uuid.uuid4())
        process = {process_id.PROCESS_TAG: process_id.tag_of(run_id, process_id.Process.of())}
        return job.execute_in_process(
            instance=instance,
            asset_selection=assets,
            tags={**range_tags(days), **task["tags"], **process},
            run_id=run_id,
            raise_on_error=False,
        )

    result = execute(partitioned_asset_keys(organization) + named)
    made = {event.asset_key for event in result.get_asset_materialization_events()}
    shared = asset_keys.allocated_costs_key(organization)
    if asset_keys.costs_key(organization) in made and shared not in made:
        execute([shared])  # Dagster skips what is made of a failed step; what was stored is shared out all the same
    return {
        "organization": organization.name,
        "run_id": result.run_id,
        "success": result.success,
        "error": _error_of(result),
    }


def _error_of(result: dg.ExecuteInProcessResult) -> str | None:
    """Why steps failed, in a sentence; None where none did."""
    said = []
    for event in result.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            described = failure.user_failure_data.description if failure.user_failure_data else None
            said.append(described or (failure.error.message.strip() if failure.error else "a step failed"))
    return "; ".join(said) or None


if __name__ == "__main__":
    main()
