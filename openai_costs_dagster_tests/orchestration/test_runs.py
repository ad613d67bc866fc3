"""Runs in processes of our own: recorded in Dagster's instance, told as they go, and never left for running."""

import os
from pathlib import Path

import dagster as dg
import psutil
import pytest

from openai_costs_dagster import configuration
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.orchestration import names, processes, runs
from openai_costs_dagster.orchestration.instance import environment
from openai_costs_dagster.orchestration.runs import Task, backfill_tags, report_dead_runs, run_all
from openai_costs_dagster.orchestration.worker import PROCESS_TAG

from ..conftest import OpenInstance
from .bench import Bench, small_world
from .conftest import MakeBench
from .launching import KEY, materializations
from .test_costs_asset import START, WEEK

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
def beta(bench: MakeBench) -> Bench:
    world = small_world(organization_id="org-BETA", admin_key="sk-admin-simulated-beta", seed=7)
    return bench(world, name="beta")


def test_a_process_takes_one_organization_after_the_other_and_each_result_says_what_came_of_it(
    bench: MakeBench, beta: Bench, tmp_path: Path, open_instance: OpenInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_MOST_WORKERS", 1)
    acme = bench()
    (tmp_path / "database.url").write_text(acme.database.url, encoding="utf-8")
    file = tmp_path / "openai_costs.yaml"
    text = FILE.format(acme=acme.simulator.base_url, beta=beta.simulator.base_url, start=START)
    file.write_text(text, encoding="utf-8")
    settings = configuration.read_file(file)
    instance = open_instance(settings, acme.database)
    beta.world.revoke_key()
    done: dict[str, int] = {}
    week = DayRange(WEEK[0], WEEK[-1])
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
    assert (results["acme"].stored, results["acme"].failed, results["acme"].trouble) == (7, {}, None)
    assert done["acme"] == 7
    assert not results["beta"].success
    assert list(results["beta"].failed) == [day.isoformat() for day in WEEK]
    assert acme.stored() == acme.truth(WEEK)
    assert len(materializations(instance)) == 7
    recorded = instance.get_runs()
    assert {run.tags[names.ASKED_BY_TAG] for run in recorded} == {"backfill"}
    assert all(run.is_finished for run in recorded)


def started_by(instance: dg.DagsterInstance, process: str | None) -> str:
    run = instance.create_run_for_job(
        dg.Definitions(assets=[dg.asset(key=KEY)(lambda: None)]).resolve_implicit_global_asset_job_def(),
        tags={PROCESS_TAG: process} if process else {},
        status=dg.DagsterRunStatus.STARTED,
    )
    return run.run_id


def test_a_run_whose_process_was_killed_is_ended_and_no_other(instance: dg.DagsterInstance) -> None:
    me = psutil.Process()
    alive = processes.named()
    reused = f"{me.pid}@{int(me.create_time()) - 100}"  # its number was given to another process since
    gone = f"{2**22 + 1}@1"
    started = {name: started_by(instance, name) for name in (alive, reused, gone)}
    daemons = started_by(instance, None)
    assert report_dead_runs(instance) == 2
    found = {name: instance.get_run_by_id(run_id) for name, run_id in started.items()}
    assert {name for name, run in found.items() if run and run.is_failure} == {reused, gone}
    left = instance.get_run_by_id(daemons)
    assert left
    assert left.status is dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize("tag", ["", "nonsense", "x@y", pytest.param(f"{os.getpid()}", id="no start time")])
def test_what_is_no_process_does_not_live(tag: str) -> None:
    assert not processes.lives(tag)
