"""The forking run launcher: start, termination, failure and dead runs, with real processes."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import dagster as dg
import psutil
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.events import EngineEventData
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster._core.remote_origin import RemoteJobOrigin
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.orchestration.runtime import forking_run_launcher, instance, process_id
from openai_costs_dagster.orchestration.runtime.forking_run_launcher import ForkingRunLauncher
from openai_costs_dagster.orchestration.runtime.process_id import PROCESS_TAG
from openai_costs_dagster.orchestration.sensors import tick_records
from openai_costs_dagster.warehouse.database import Database

from ...cli.program import is_alive, until
from ...conftest import Configure, OpenInstance

ACME = Organization(name="acme", admin_key=SecretReference(env="ACME_KEY"))
DEFINITIONS = """
import os, pathlib, time
import dagster as dg

loaded_by = os.getpid()

@dg.asset
def quick():
    pathlib.Path({note!r}).open("a").write(f"{{loaded_by}} {{os.getpid()}} {{os.getppid()}}\\n")

@dg.asset
def endless():
    pathlib.Path({note!r}).open("a").write("begun\\n")
    while True:
        time.sleep(0.1)

defs = dg.Definitions(assets=[quick, endless], executor=dg.in_process_executor)
"""


class Work:
    """An instance as `up` has it, and a file of definitions."""

    def __init__(self, instance: dg.DagsterInstance, folder: Path) -> None:
        self.instance = instance
        self.note = folder / "note"
        self.file = folder / "definitions.py"
        self.file.write_text(DEFINITIONS.format(note=str(self.note)), encoding="utf-8")

    @property
    def launcher(self) -> ForkingRunLauncher:
        launcher = self.instance.run_launcher
        assert isinstance(launcher, ForkingRunLauncher)
        return launcher

    def noted(self) -> list[str]:
        return self.note.read_text(encoding="utf-8").splitlines() if self.note.exists() else []

    def created(self, asset: str) -> dg.DagsterRun:
        """A run as Dagster hands it to a launcher."""
        repository = ReconstructableRepository.for_file(str(self.file), "defs", str(self.file.parent))
        job, key = repository.get_reconstructable_job("__ASSET_JOB"), dg.AssetKey(asset)
        return self.instance.create_run_for_job(
            job.get_definition().get_subset(asset_selection={key}),
            status=dg.DagsterRunStatus.STARTING,
            job_code_origin=job.get_python_origin(),
            asset_selection=frozenset({key}),
        )

    def launch(self, asset: str) -> str:
        run = self.created(asset)
        self.launcher.launch_run(LaunchRunContext(run, None))
        return run.run_id

    def run(self, run_id: str) -> dg.DagsterRun:
        found = self.instance.get_run_by_id(run_id)
        assert found
        return found

    def ended(self, run_id: str) -> dg.DagsterRunStatus:
        until(lambda: self.run(run_id).is_finished)
        return self.run(run_id).status

    def messages(self, run_id: str) -> str:
        return "\n".join(entry.message for entry in self.instance.all_logs(run_id))

    def process(self, run_id: str) -> psutil.Process:
        recorded = process_id.of_run(run_id, self.run(run_id).tags[PROCESS_TAG])
        assert recorded
        return psutil.Process(recorded.pid)


@pytest.fixture
def work(
    open_instance: OpenInstance,
    configure: Configure,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Work]:
    monkeypatch.setattr(instance, "FORK_FROM_ORGANIZATIONS", 1)
    before = psutil.Process().children()
    work = Work(open_instance(configure(ACME), database), tmp_path)
    yield work
    work.launcher.dispose()
    ours = [process for process in psutil.Process().children() if process not in before]
    until(lambda: not any(map(is_alive, ours)))


@pytest.fixture
def by_dagster(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that were left to Dagster's own launcher, which needs a code server."""
    started: list[str] = []
    monkeypatch.setattr(
        dg.DefaultRunLauncher, "launch_run", lambda _, context: started.append(context.dagster_run.run_id)
    )
    return started


def test_fork_server_loads_definitions_once_for_many_runs(work: Work) -> None:
    runs = [work.launch("quick") for _ in range(3)]
    assert {work.ended(run) for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    loaded_by, own, parents = zip(*(line.split() for line in work.noted()), strict=True)
    assert len(set(loaded_by)) == 1
    assert set(parents) == set(loaded_by)
    assert len(set(own)) == 3


def test_concurrent_launches_start_all_runs(work: Work) -> None:
    runs = [work.created("quick") for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda run: work.launcher.launch_run(LaunchRunContext(run, None)), runs))
    assert [work.ended(run.run_id) for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 4
    assert len(work.noted()) == 4


def test_changed_configuration_is_loaded_before_the_next_run(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    file = work.note.with_name("openai_costs.yaml")
    monkeypatch.setenv("OPENAI_COSTS_CONFIG", str(file))
    for text in ("one", "one", "another"):
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
        work.ended(work.launch("quick"))
    first, second, third = (line.split()[0] for line in work.noted())
    assert first == second != third


def test_terminated_run_is_canceled(work: Work) -> None:
    run = work.launch("endless")
    until(work.noted)
    process = work.process(run)
    assert work.launcher.terminate(run)
    assert work.ended(run) is dg.DagsterRunStatus.CANCELED
    until(lambda: not is_alive(process))
    assert not work.launcher.terminate(run)


def test_run_terminated_before_its_start_is_canceled(work: Work) -> None:
    run = work.launch("endless")
    assert work.launcher.terminate(run)
    assert work.ended(run) is dg.DagsterRunStatus.CANCELED


def test_terminated_run_without_process_is_canceled_at_once(work: Work) -> None:
    run = work.launch("endless")
    until(work.noted)
    work.process(run).kill()
    until(lambda: not is_alive(work.process(run)))
    assert not work.launcher.terminate(run)
    assert work.run(run).status is dg.DagsterRunStatus.CANCELED


def test_run_whose_process_was_killed_is_failed_by_run_monitoring(work: Work) -> None:
    run = work.launch("endless")
    until(work.noted)
    assert work.launcher.check_run_worker_health(work.run(run)).status is WorkerStatus.RUNNING
    work.process(run).kill()
    until(lambda: work.launcher.check_run_worker_health(work.run(run)).status is WorkerStatus.NOT_FOUND)
    (record,) = work.instance.get_run_records(dg.RunsFilter(run_ids=[run]))
    monitor_started_run(work.instance, Mock(), record, logging.getLogger(__name__))  # as the daemon does each minute
    assert work.run(run).status is dg.DagsterRunStatus.FAILURE


def test_run_of_another_host_counts_as_running(work: Work) -> None:
    run = work.launch("quick")
    work.ended(run)
    process = process_id.of_run(run, work.run(run).tags[PROCESS_TAG])
    assert process
    elsewhere = replace(process, place=replace(process.place, host="elsewhere"))
    work.instance.add_run_tags(run, {PROCESS_TAG: process_id.tag_of(run, elsewhere)})
    assert work.launcher.check_run_worker_health(work.run(run)).status is WorkerStatus.RUNNING


def test_reloaded_code_location_replaces_the_fork_server(work: Work) -> None:
    location, origin = Mock(spec=GrpcServerCodeLocation), Mock(spec=RemoteJobOrigin)
    origin.repository_origin.code_location_origin.location_name = "openai_costs"
    workspace = Mock()
    workspace.get_code_location.return_value = location
    for server in ("one", "one", "another"):
        location.server_id = server
        run = work.created("quick")
        work.launcher.launch_run(LaunchRunContext(run._replace(remote_job_origin=origin), workspace))
        work.ended(run.run_id)
    first, second, third = (line.split()[0] for line in work.noted())
    assert first == second != third


def test_inherited_process_tag_of_a_retry_is_ignored(work: Work) -> None:
    run = work.launch("quick")
    work.ended(run)
    again = work.instance.create_run_for_job(
        dg.Definitions(assets=[dg.asset(name="quick")(lambda: None)]).resolve_implicit_global_asset_job_def(),
        tags={PROCESS_TAG: work.run(run).tags[PROCESS_TAG]},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert work.launcher.check_run_worker_health(again).status is WorkerStatus.RUNNING


@pytest.mark.parametrize(
    ("definitions", "why"),
    [
        pytest.param("raise RuntimeError('no')", "the fork server has ended", id="error"),
        pytest.param("import os; os._exit(1)", "the fork server has ended", id="exit"),
        pytest.param("import time; time.sleep(60)", "definitions did not load within 1 s", id="no answer"),
    ],
)
def test_code_server_starts_runs_if_definitions_do_not_load(
    work: Work, by_dagster: list[str], definitions: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, another = work.created("quick"), work.created("quick")
    work.file.write_text(definitions, encoding="utf-8")
    if "sleep" in definitions:
        monkeypatch.setattr(forking_run_launcher, "_LOAD_TIMEOUT_S", 1.0)
    for one in (run, another):
        work.launcher.launch_run(LaunchRunContext(one, None))
    assert by_dagster == [run.run_id, another.run_id]
    assert why in work.messages(run.run_id)
    assert "definitions failed to load a short time ago" in work.messages(another.run_id)


def test_repaired_definitions_are_loaded_again(
    work: Work, by_dagster: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = work.note.with_name("openai_costs.yaml")
    monkeypatch.setenv("OPENAI_COSTS_CONFIG", str(configuration))
    good = work.file.read_text(encoding="utf-8")
    runs = [work.created("quick") for _ in range(2)]
    work.file.write_text("raise RuntimeError('no')", encoding="utf-8")
    work.launcher.launch_run(LaunchRunContext(runs[0], None))
    work.file.write_text(good, encoding="utf-8")
    configuration.write_text("mended", encoding="utf-8")
    work.launcher.launch_run(LaunchRunContext(runs[1], None))
    assert by_dagster == [runs[0].run_id]
    assert work.ended(runs[1].run_id) is dg.DagsterRunStatus.SUCCESS


def test_run_started_by_the_code_server_has_no_dead_process_in_its_tags(
    work: Work, by_dagster: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = work.created("quick")
    note = work.instance.add_run_tags

    def killed_meanwhile(run_id: str, tags: Mapping[str, str]) -> None:
        note(run_id, tags)
        for process in psutil.Process().children():
            if "orchestration.runtime.fork_server" in " ".join(process.cmdline()):
                process.kill()
                process.wait()

    with monkeypatch.context() as patched:
        patched.setattr(work.instance, "add_run_tags", killed_meanwhile)
        work.launcher.launch_run(LaunchRunContext(run, None))
    assert by_dagster == [run.run_id]
    assert work.launcher.check_run_worker_health(work.run(run.run_id)).status is WorkerStatus.RUNNING
    assert work.noted() == []


@pytest.mark.parametrize(
    ("ended", "later", "status"),
    [
        (False, 0, WorkerStatus.RUNNING),
        (True, 0, WorkerStatus.NOT_FOUND),
        (False, -3600, WorkerStatus.NOT_FOUND),  # the number belongs to a process that was started an hour later
    ],
)
def test_run_of_the_code_server_is_dead_when_its_logged_process_is_gone(
    work: Work, by_dagster: list[str], monkeypatch: pytest.MonkeyPatch, ended: bool, later: float, status: WorkerStatus
) -> None:
    run = work.created("quick")
    monkeypatch.setattr(work.launcher, "_backoff_until", float("inf"))
    work.launcher.launch_run(LaunchRunContext(run, None))
    assert by_dagster == [run.run_id]
    assert work.launcher.check_run_worker_health(work.run(run.run_id)).status is WorkerStatus.RUNNING
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = time.time()
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: started + 1 + later)
            work.instance.report_engine_event("Started process.", run, EngineEventData.in_process(process.pid))
        if ended:
            process.kill()
            process.wait()
        health = work.launcher.check_run_worker_health(work.run(run.run_id))
        process.kill()
    assert health.status is status


def test_run_whose_process_died_before_it_began_is_failed_at_once(work: Work) -> None:
    configuration = Configuration.model_construct(organizations={}, asset_key_prefix=("quick",))
    alive, dead, another = (work.created("quick") for _ in range(3))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        gone = process_id.Process.of(process.pid)
        process.kill()
    elsewhere = replace(gone, place=replace(gone.place, host="elsewhere", machine="another"))
    for run, worker in ((alive, process_id.Process.of()), (dead, gone), (another, elsewhere)):
        work.instance.add_run_tags(run.run_id, {PROCESS_TAG: process_id.tag_of(run.run_id, worker)})
    tick_records.end_dead_runs(work.instance, configuration)
    statuses = [work.run(run.run_id).status for run in (alive, dead, another)]
    assert statuses == [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTING]
    assert work.run(dead.run_id).tags["dagster/will_retry"] == "true"


def test_disposed_launcher_does_not_fork(work: Work, by_dagster: list[str]) -> None:
    run = work.created("quick")
    work.launcher.dispose()
    work.launcher.launch_run(LaunchRunContext(run, None))
    assert by_dagster == [run.run_id]
    assert work.noted() == []


def test_run_whose_process_cannot_be_recorded_does_not_start(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    run = work.created("quick")

    def fail(*_: object) -> None:
        raise OSError("the storage is away")

    with monkeypatch.context() as patched:
        patched.setattr(work.instance, "add_run_tags", fail)
        with pytest.raises(OSError, match="is away"):
            work.launcher.launch_run(LaunchRunContext(run, None))
    assert work.ended(work.launch("quick")) is dg.DagsterRunStatus.SUCCESS
    assert len(work.noted()) == 1
