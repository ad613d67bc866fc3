"""Tests of the worker processes of a backfill: results, progress, and runs whose process has ended."""

import datetime as dt
import re
import uuid
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from openai_costs_dagster import configuration
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import DayRange, utc_now
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.runs import worker_pool
from openai_costs_dagster.orchestration.runs.abandoned_runs import stuck_runs
from openai_costs_dagster.orchestration.runs.worker_pool import Task, backfill_tags, end_abandoned_runs, run_all
from openai_costs_dagster.orchestration.runtime import process_id
from openai_costs_dagster.orchestration.runtime.instance import environment
from openai_costs_dagster.orchestration.runtime.process_id import PROCESS_TAG, Process
from openai_costs_dagster.warehouse.database import Connection, Database

from ...cli.program import days_ago
from ...conftest import Clock, Configure, OpenInstance
from ...sync_fixtures import MakeSyncSetup
from ...sync_setup import SyncSetup, small_organization
from ..launching import KEY, materializations

FILE = """
organizations:
  acme:
    admin_key: {{file: acme.key}}
    base_url: {acme}
    start_date: {start}
  beta:
    admin_key: {{file: beta.key}}
    base_url: {beta}
    start_date: {start}
database: {{url: {{file: database.url}}}}
data_directory: data
"""


@pytest.fixture
def beta(make_sync_setup: MakeSyncSetup) -> SyncSetup:
    simulated = small_organization(organization_id="org-BETA", admin_key="sk-admin-simulated-beta", seed=7)
    return make_sync_setup(simulated, name="beta")


def test_worker_runs_organizations_in_turn_and_returns_each_result(
    make_sync_setup: MakeSyncSetup,
    clock: Clock,
    beta: SyncSetup,
    tmp_path: Path,
    open_instance: OpenInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock.now = utc_now()  # The worker is a separate process, which uses the clock of the system.
    week = DayRange(days_ago(9), days_ago(3))
    monkeypatch.setattr(worker_pool, "_MAX_WORKERS", 1)
    acme = make_sync_setup()
    (tmp_path / "database.url").write_text(acme.database.url, encoding="utf-8")
    file = tmp_path / "openai_costs.yaml"
    text = FILE.format(acme=acme.simulator.base_url, beta=beta.simulator.base_url, start=week.first)
    file.write_text(text, encoding="utf-8")
    settings = configuration.read_file(file)
    instance = open_instance(settings, acme.database)
    beta.simulated.revoke_key()
    done: dict[str, int] = {}
    results = {
        result.organization: result
        for result in run_all(
            [Task("acme", week, backfill_tags()), Task("beta", week, backfill_tags())],
            environment=environment(settings, acme.database),
            log_file=tmp_path / "worker.log",
            on_step=lambda step: done.update({step.organization: done.get(step.organization, 0) + step.days}),
        )
    }
    log = (tmp_path / "worker.log").read_text(encoding="utf-8")
    assert results["acme"].success, log
    assert (results["acme"].stored, results["acme"].failed, results["acme"].error) == (7, {}, None)
    assert done["acme"] == 7
    assert not results["beta"].success
    assert list(results["beta"].failed) == [day.isoformat() for day in week]
    assert acme.stored() == acme.expected(week)
    assert len(materializations(instance)) == 7
    recorded = instance.get_runs()
    assert {run.tags[asset_keys.TRIGGER_TAG] for run in recorded} == {"backfill"}
    assert all(run.is_finished for run in recorded)


KEY_OF_OTHERS = dg.AssetKey(["other_project", "table"])
LATER = dt.timedelta(minutes=16)
"""More than the time in which a run has to start."""


def create_run(
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
    process: Process | None = None,
    key: dg.AssetKey = KEY,
) -> str:
    """Create a run of one asset and return its id. `process` is the process that executes the run, if any."""
    run_id = str(uuid.uuid4())
    instance.create_run_for_job(
        dg.Definitions(assets=[dg.asset(key=key)(lambda: None)]).resolve_implicit_global_asset_job_def(),
        run_id=run_id,
        tags={PROCESS_TAG: process_id.tag_of(run_id, process)} if process else {},
        status=status,
        asset_selection=frozenset({key}),
    )
    return run_id


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run
    return run.status


def move_to_another_host(process: Process) -> Process:
    return replace(process, place=replace(process.place, host="elsewhere"))


@pytest.mark.parametrize("status", ["NOT_STARTED", "STARTING", "STARTED"])
def test_only_the_run_whose_process_has_ended_on_this_host_is_ended(instance: dg.DagsterInstance, status: str) -> None:
    own = Process.of()
    gone = replace(own, pid=2**22 + 1)
    reused = replace(own, start=f"{own.start}0")
    runs_of = {
        name: create_run(instance, dg.DagsterRunStatus(status), process)
        for name, process in (
            ("own", own),
            ("gone", gone),
            ("reused", reused),
            ("own process on another host", move_to_another_host(own)),
            ("ended process on another host", move_to_another_host(gone)),
        )
    }
    ended = end_abandoned_runs(instance, ["openai"], utc_now() + LATER)
    assert len(ended) == 2
    assert f"its process {gone.pid} on {own.place.host} has ended" in ended[0] + ended[1]
    failed = {name for name, run_id in runs_of.items() if status_of(instance, run_id) is dg.DagsterRunStatus.FAILURE}
    assert failed == {"gone", "reused"}


def test_canceling_run_without_process_is_canceled(instance: dg.DagsterInstance) -> None:
    run_id = create_run(instance, dg.DagsterRunStatus.CANCELING, replace(Process.of(), pid=2**22 + 1))
    assert end_abandoned_runs(instance, ["openai"], utc_now())
    assert status_of(instance, run_id) is dg.DagsterRunStatus.CANCELED


@pytest.mark.parametrize(
    ("status", "key", "age", "is_ended"),
    [
        pytest.param("NOT_STARTED", KEY, LATER, True, id="created and never launched"),
        pytest.param("STARTING", KEY, LATER, True, id="launched and never started"),
        pytest.param("NOT_STARTED", KEY, dt.timedelta(), False, id="just created"),
        pytest.param("STARTED", KEY, LATER, False, id="started by another launcher"),
        pytest.param("NOT_STARTED", KEY_OF_OTHERS, LATER, False, id="of another project in the same instance"),
    ],
)
def test_created_run_without_process_is_ended_after_its_grace_period(
    instance: dg.DagsterInstance, status: str, key: dg.AssetKey, age: dt.timedelta, *, is_ended: bool
) -> None:
    run_id = create_run(instance, dg.DagsterRunStatus(status), key=key)
    ended = end_abandoned_runs(instance, ["openai"], utc_now() + age)
    assert ["no process has started it since" in message for message in ended] == [True] * is_ended
    assert (status_of(instance, run_id) is dg.DagsterRunStatus.FAILURE) is is_ended


def test_inherited_process_tag_does_not_end_a_re_execution(instance: dg.DagsterInstance) -> None:
    gone = replace(Process.of(), pid=2**22 + 1)
    run_id = create_run(instance)
    instance.add_run_tags(run_id, {PROCESS_TAG: process_id.tag_of("the first run", gone)})
    assert end_abandoned_runs(instance, ["openai"], utc_now() + LATER) == []


def test_run_that_finishes_during_the_check_keeps_its_status(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = create_run(instance, process=Process.of())

    def finish(_: Process) -> process_id.State:
        run = instance.get_run_by_id(run_id)
        assert run
        instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.PIPELINE_SUCCESS.value, run.job_name), run_id)
        return process_id.State.ENDED

    monkeypatch.setattr(Process, "state", property(finish))
    assert end_abandoned_runs(instance, ["openai"], utc_now() + LATER) == []
    assert status_of(instance, run_id) is dg.DagsterRunStatus.SUCCESS


@pytest.fixture
def stored(open_instance: OpenInstance, configure: Configure, database: Database) -> dg.DagsterInstance:
    """The Dagster instance of `openai-costs`, whose storage is in the database of the costs."""
    acme = Organization(name="acme", admin_key=SecretReference(env="ACME_KEY"))
    return open_instance(configure(acme, database=database), database)


def test_status_names_the_runs_that_do_not_proceed(stored: dg.DagsterInstance, connection: Connection) -> None:
    own = Process.of()
    statuses = dg.DagsterRunStatus
    never_launched = create_run(stored, statuses.NOT_STARTED)
    killed = create_run(stored, statuses.STARTED, replace(own, pid=2**22 + 1))
    queued = create_run(stored, statuses.NOT_STARTED)
    connection.execute("update openai_costs_dagster.runs set status = 'QUEUED' where run_id = %s", [queued])
    on_another_host = create_run(stored, statuses.STARTED, move_to_another_host(own))
    of_another_launcher = create_run(stored, statuses.STARTED)
    for status, process, key in (
        (statuses.STARTED, own, KEY),
        (statuses.SUCCESS, None, KEY),
        (statuses.NOT_STARTED, None, KEY_OF_OTHERS),
    ):
        create_run(stored, status, process, key)

    def found(hours: int) -> list[str]:
        now = utc_now() + dt.timedelta(hours=hours)
        since = r" (since )?\d{4}-\d\d-\d\d \d\d:\d\d UTC"
        return [re.sub(since, "", text) for text in stuck_runs(connection, ["openai"], now)]

    remedy = "openai-costs backfill and openai-costs up end it"
    gone = f"its process {2**22 + 1} on {own.place.host} has ended; the days that it stored are kept"
    assert found(hours=0) == [f"the run {killed} does not proceed: {gone}; {remedy}"]
    assert found(hours=1) == [
        f"the run {never_launched} does not proceed: no process has started it; {remedy}",
        f"the run {killed} does not proceed: {gone}; {remedy}",
        "1 runs are queued and no daemon executes them: start openai-costs up",
    ]
    assert found(hours=25)[2:4] == [
        f"the run {on_another_host} has been running on elsewhere: terminate it in Dagster if it does not proceed",
        f"the run {of_another_launcher} has been running: terminate it in Dagster if it does not proceed",
    ]
    assert len(found(hours=25)) == 5


def test_database_without_dagster_tables_has_no_stuck_run(connection: Connection) -> None:
    assert stuck_runs(connection, ["openai"], utc_now()) == []
