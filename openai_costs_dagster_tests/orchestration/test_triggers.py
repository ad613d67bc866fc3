"""Tests of triggers of runs, derived from tags of Dagster's scheduler, sensors, retries, backfills and UI."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import instance_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import consume_new_runs_for_automatic_reexecution
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs
from dagster_graphql.test.utils import execute_dagster_graphql

from openai_costs_dagster.orchestration import asset_keys, triggers

from . import host_project

# Dagster's daemons and GraphQL API call deprecated functions of Dagster.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LOG = logging.getLogger(__name__)
FAMILY = {f"openai/acme/{name}" for name in ("costs", "usage", "allocated_costs")}
_REEXECUTE_RUN = """
mutation($parent: String!) {
  launchRunReexecution(reexecutionParams: {parentRunId: $parent, strategy: ALL_STEPS, useParentRunTags: true}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
_LAUNCH_BACKFILL = """
mutation($backfill: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfill) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
_REEXECUTE_BACKFILL = """
mutation($parent: String!) {
  reexecutePartitionBackfill(reexecutionParams: {parentRunId: $parent, strategy: ALL_STEPS}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""


class Project:
    """The host project with Dagster's daemons, which a test calls explicitly. Runs are created but never executed."""

    def __init__(self, instance: dg.DagsterInstance, workspace: WorkspaceProcessContext) -> None:
        self.instance = instance
        self._workspace = workspace
        self._now = dt.datetime(2026, 3, 11, 5, 59, tzinfo=dt.UTC)
        self._iteration_times: dict[str, Any] = {}

    def trigger(self, run: dg.DagsterRun) -> str:
        return triggers.trigger_of(self.instance, run)

    def scheduled(self) -> dg.DagsterRun:
        """Return the run of the schedule's next tick."""
        for now in (self._now, self._now + dt.timedelta(days=1)):
            _exhaust(launch_scheduled_runs(self._workspace, LOG, now, self._iteration_times))
        self._now = now
        return self._newest()

    def of_sensor(self) -> dg.DagsterRun:
        _exhaust(execute_sensor_iteration(self._workspace, LOG, None, None))
        return self._newest()

    def retried(self, run: dg.DagsterRun) -> dg.DagsterRun:
        """Fail a run as if its process was lost, and return the daemon's retry."""
        self.instance.report_run_failed(run)
        (record,) = self.instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))
        _exhaust(consume_new_runs_for_automatic_reexecution(self._workspace, [record], LOG))
        return self._child(run)

    def reexecuted(self, run: dg.DagsterRun) -> dg.DagsterRun:
        """Fail a run and re-execute it as the UI does."""
        self.instance.report_run_failed(run)
        launched = self._graphql(_REEXECUTE_RUN, parent=run.run_id)["launchRunReexecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return self._run(launched["run"]["runId"])

    def backfilled(self, **tags: str) -> tuple[str, dg.DagsterRun]:
        """Launch a backfill of two days as the UI does, and return the backfill and its run."""
        backfill = {
            "assetSelection": [{"path": key.split("/")} for key in sorted(FAMILY)],
            "partitionNames": ["2026-03-09", "2026-03-10"],
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        launched = self._graphql(_LAUNCH_BACKFILL, backfill=backfill)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return launched["backfillId"], self._run_of_backfill(launched["backfillId"])

    def reexecuted_backfill(self, backfill: str) -> dg.DagsterRun:
        """End a backfill and re-execute it as the UI does."""
        known = self.instance.get_backfill(backfill)
        assert known
        self.instance.update_backfill(known.with_status(BulkActionStatus.COMPLETED_FAILED))  # type: ignore[no-untyped-call]
        launched = self._graphql(_REEXECUTE_BACKFILL, parent=backfill)["reexecutePartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return self._run_of_backfill(launched["backfillId"])

    def tagged(self, run: dg.DagsterRun, trigger: str) -> dg.DagsterRun:
        self.instance.add_run_tags(run.run_id, {asset_keys.TRIGGER_TAG: trigger})
        return self._run(run.run_id)

    def _run_of_backfill(self, backfill: str) -> dg.DagsterRun:
        _exhaust(execute_backfill_iteration(self._workspace, LOG))
        (run,) = self.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))
        return run

    def _graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        context = self._workspace.create_request_context()
        return dict(execute_dagster_graphql(context, query, variables).data)

    def _newest(self) -> dg.DagsterRun:
        (run,) = self.instance.get_runs(dg.RunsFilter(job_name=host_project.JOB), limit=1)
        return run

    def _child(self, parent: dg.DagsterRun) -> dg.DagsterRun:
        (run,) = self.instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": parent.run_id}))
        return run

    def _run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run
        return run


def _exhaust(daemon: Iterable[Any]) -> None:
    for error in daemon:
        assert error is None, error


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    mocks = "dagster._core.test_utils"
    overrides = {
        "run_launcher": {"module": mocks, "class": "MockedRunLauncher"},
        "run_retries": {"enabled": True, "max_retries": 2},
    }
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(
            python_file=host_project.__file__, working_directory=str(Path(host_project.__file__).parent)
        )
    )
    with (
        instance_for_test(overrides, temp_dir=str(tmp_path_factory.mktemp("instance"))) as instance,
        WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as workspace,
    ):
        yield Project(instance, workspace)


def test_run_of_a_schedule_is_a_refresh(project: Project) -> None:
    run = project.scheduled()
    assert run.tags["dagster/schedule_name"] == host_project.SCHEDULE
    assert project.trigger(run) == "schedule"


def test_run_of_a_sensor_is_a_refresh(project: Project) -> None:
    run = project.of_sensor()
    assert run.tags["dagster/sensor_name"] == host_project.SENSOR
    assert project.trigger(run) == "schedule"


def test_automatic_retries_of_a_scheduled_run_are_refreshes(project: Project) -> None:
    first = project.retried(project.scheduled())
    assert first.tags["dagster/retry_number"] == "1"
    second = project.retried(first)
    assert [project.trigger(run) for run in (first, second)] == ["schedule", "schedule"]


def test_retry_of_a_run_that_was_deleted_counts_by_its_own_tags(project: Project) -> None:
    scheduled = project.scheduled()
    retry = project.retried(scheduled)
    project.instance.delete_run(scheduled.run_id)
    assert project.trigger(retry) == "schedule"


def test_reexecution_by_a_person_is_manual_and_so_is_its_retry(project: Project) -> None:
    scheduled = project.scheduled()
    reexecuted = project.reexecuted(scheduled)
    # Dagster copies the tags of the first run.
    assert reexecuted.tags["dagster/schedule_name"] == host_project.SCHEDULE
    assert [project.trigger(run) for run in (reexecuted, project.retried(reexecuted))] == ["manual", "manual"]


def test_reexecution_of_a_retry_is_manual(project: Project) -> None:
    assert project.trigger(project.reexecuted(project.retried(project.scheduled()))) == "manual"


def test_backfill_of_a_person_and_its_retries_are_backfills(project: Project) -> None:
    _, run = project.backfilled()
    assert [project.trigger(launched) for launched in (run, project.retried(run))] == ["backfill", "backfill"]


def test_backfill_of_an_automation_condition_is_a_refresh_until_a_person_reexecutes_it(project: Project) -> None:
    backfill, run = project.backfilled(
        **{"dagster/from_automation_condition": "true", "dagster/sensor_name": "openai_costs_refresh"}
    )
    assert [project.trigger(launched) for launched in (run, project.retried(run))] == ["schedule", "schedule"]
    assert project.trigger(project.reexecuted_backfill(backfill)) == "backfill"


def test_trigger_tag_overrides_the_origin_of_a_run(project: Project) -> None:
    run = project.scheduled()
    for value in ("backfill", "manual", "schedule"):
        assert project.trigger(project.tagged(run, value)) == value
    with pytest.raises(dg.Failure, match=r"openai-costs/trigger is 'me': it must be schedule, backfill or manual"):
        project.trigger(project.tagged(run, "me"))


@pytest.mark.parametrize(
    ("former", "trigger"), [("refresh", "schedule"), ("backfill", "backfill"), ("person", "manual")]
)
def test_run_queued_before_the_upgrade_keeps_its_trigger(project: Project, former: str, trigger: str) -> None:
    run = project.scheduled()
    project.instance.add_run_tags(run.run_id, {"openai-costs/asked_by": former})
    queued = project.instance.get_run_by_id(run.run_id)
    assert queued
    assert project.trigger(queued) == trigger
