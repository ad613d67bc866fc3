"""Tests of the forking run launcher with real processes: start, termination, failed and dead runs."""

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
    pathlib.Path({log_file!r}).open("a").write(f"{{loaded_by}} {{os.getpid()}} {{os.getppid()}}\\n")

@dg.asset
def endless():
    pathlib.Path({log_file!r}).open("a").write("started\\n")
    while True:
        time.sleep(0.1)

defs = dg.Definitions(assets=[quick, endless], executor=dg.in_process_executor)
"""


class LauncherSetup:
    """An instance with the forking run launcher, and a file of definitions whose runs append lines to a log file."""

    def __init__(self, instance: dg.DagsterInstance, folder: Path) -> None:
        self.instance = instance
        self.log_file = folder / "runs.log"
        self.file = folder / "definitions.py"
        self.file.write_text(DEFINITIONS.format(log_file=str(self.log_file)), encoding="utf-8")

    @property
    def launcher(self) -> ForkingRunLauncher:
        launcher = self.instance.run_launcher
        assert isinstance(launcher, ForkingRunLauncher)
        return launcher

    def log_lines(self) -> list[str]:
        return self.log_file.read_text(encoding="utf-8").splitlines() if self.log_file.exists() else []

    def create_run(self, asset: str) -> dg.DagsterRun:
        """Create a run with the status that Dagster sets before the launch."""
        repository = ReconstructableRepository.for_file(str(self.file), "defs", str(self.file.parent))
        job, key = repository.get_reconstructable_job("__ASSET_JOB"), dg.AssetKey(asset)
        return self.instance.create_run_for_job(
            job.get_definition().get_subset(asset_selection={key}),
            status=dg.DagsterRunStatus.STARTING,
            job_code_origin=job.get_python_origin(),
            asset_selection=frozenset({key}),
        )

    def launch(self, asset: str) -> str:
        run = self.create_run(asset)
        self.launcher.launch_run(LaunchRunContext(run, None))
        return run.run_id

    def run(self, run_id: str) -> dg.DagsterRun:
        found = self.instance.get_run_by_id(run_id)
        assert found
        return found

    def wait_until_finished(self, run_id: str) -> dg.DagsterRunStatus:
        until(lambda: self.run(run_id).is_finished)
        return self.run(run_id).status

    def messages(self, run_id: str) -> str:
        return "\n".join(entry.message for entry in self.instance.all_logs(run_id))

    def process(self, run_id: str) -> psutil.Process:
        recorded = process_id.of_run(run_id, self.run(run_id).tags[PROCESS_TAG])
        assert recorded
        return psutil.Process(recorded.pid)


@pytest.fixture
def setup(
    open_instance: OpenInstance,
    configure: Configure,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[LauncherSetup]:
    monkeypatch.setattr(instance, "FORK_FROM_ORGANIZATIONS", 1)
    before = psutil.Process().children()
    setup = LauncherSetup(open_instance(configure(ACME), database), tmp_path)
    yield setup
    setup.launcher.dispose()
    children = [process for process in psutil.Process().children() if process not in before]
    until(lambda: not any(map(is_alive, children)))


@pytest.fixture
def default_launcher_runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of runs that the default run launcher of Dagster receives. The launcher does not start these runs."""
    started: list[str] = []
    monkeypatch.setattr(
        dg.DefaultRunLauncher, "launch_run", lambda _, context: started.append(context.dagster_run.run_id)
    )
    return started


def test_fork_server_loads_definitions_once_for_many_runs(setup: LauncherSetup) -> None:
    runs = [setup.launch("quick") for _ in range(3)]
    assert {setup.wait_until_finished(run) for run in runs} == {dg.DagsterRunStatus.SUCCESS}
    loaded_by, own, parents = zip(*(line.split() for line in setup.log_lines()), strict=True)
    assert len(set(loaded_by)) == 1
    assert set(parents) == set(loaded_by)
    assert len(set(own)) == 3


def test_concurrent_launches_start_all_runs(setup: LauncherSetup) -> None:
    runs = [setup.create_run("quick") for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda run: setup.launcher.launch_run(LaunchRunContext(run, None)), runs))
    assert [setup.wait_until_finished(run.run_id) for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 4
    assert len(setup.log_lines()) == 4


def test_changed_configuration_is_loaded_before_the_next_run(
    setup: LauncherSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = setup.log_file.with_name("openai_costs.yaml")
    monkeypatch.setenv("OPENAI_COSTS_CONFIG", str(file))
    for text in ("one", "one", "another"):
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
        setup.wait_until_finished(setup.launch("quick"))
    first, second, third = (line.split()[0] for line in setup.log_lines())
    assert first == second != third


def test_terminated_run_is_canceled(setup: LauncherSetup) -> None:
    run = setup.launch("endless")
    until(setup.log_lines)
    process = setup.process(run)
    assert setup.launcher.terminate(run)
    assert setup.wait_until_finished(run) is dg.DagsterRunStatus.CANCELED
    until(lambda: not is_alive(process))
    assert not setup.launcher.terminate(run)


def test_run_terminated_before_its_start_is_canceled(setup: LauncherSetup) -> None:
    run = setup.launch("endless")
    assert setup.launcher.terminate(run)
    assert setup.wait_until_finished(run) is dg.DagsterRunStatus.CANCELED


def test_terminated_run_without_process_is_canceled_at_once(setup: LauncherSetup) -> None:
    run = setup.launch("endless")
    until(setup.log_lines)
    setup.process(run).kill()
    until(lambda: not is_alive(setup.process(run)))
    assert not setup.launcher.terminate(run)
    assert setup.run(run).status is dg.DagsterRunStatus.CANCELED


def test_run_whose_process_was_killed_is_failed_by_run_monitoring(setup: LauncherSetup) -> None:
    run = setup.launch("endless")
    until(setup.log_lines)
    assert setup.launcher.check_run_worker_health(setup.run(run)).status is WorkerStatus.RUNNING
    setup.process(run).kill()
    until(lambda: setup.launcher.check_run_worker_health(setup.run(run)).status is WorkerStatus.NOT_FOUND)
    (record,) = setup.instance.get_run_records(dg.RunsFilter(run_ids=[run]))
    # The Dagster daemon calls this function each minute.
    monitor_started_run(setup.instance, Mock(), record, logging.getLogger(__name__))
    assert setup.run(run).status is dg.DagsterRunStatus.FAILURE


def test_run_of_another_host_counts_as_running(setup: LauncherSetup) -> None:
    run = setup.launch("quick")
    setup.wait_until_finished(run)
    process = process_id.of_run(run, setup.run(run).tags[PROCESS_TAG])
    assert process
    on_another_host = replace(process, place=replace(process.place, host="elsewhere"))
    setup.instance.add_run_tags(run, {PROCESS_TAG: process_id.tag_of(run, on_another_host)})
    assert setup.launcher.check_run_worker_health(setup.run(run)).status is WorkerStatus.RUNNING


def test_reloaded_code_location_replaces_the_fork_server(setup: LauncherSetup) -> None:
    location, origin = Mock(spec=GrpcServerCodeLocation), Mock(spec=RemoteJobOrigin)
    origin.repository_origin.code_location_origin.location_name = "openai_costs"
    workspace = Mock()
    workspace.get_code_location.return_value = location
    for server in ("one", "one", "another"):
        location.server_id = server
        run = setup.create_run("quick")
        setup.launcher.launch_run(LaunchRunContext(run._replace(remote_job_origin=origin), workspace))
        setup.wait_until_finished(run.run_id)
    first, second, third = (line.split()[0] for line in setup.log_lines())
    assert first == second != third


def test_inherited_process_tag_of_a_retry_is_ignored(setup: LauncherSetup) -> None:
    run = setup.launch("quick")
    setup.wait_until_finished(run)
    again = setup.instance.create_run_for_job(
        dg.Definitions(assets=[dg.asset(name="quick")(lambda: None)]).resolve_implicit_global_asset_job_def(),
        tags={PROCESS_TAG: setup.run(run).tags[PROCESS_TAG]},
        status=dg.DagsterRunStatus.STARTED,
    )
    assert setup.launcher.check_run_worker_health(again).status is WorkerStatus.RUNNING


@pytest.mark.parametrize(
    ("definitions", "reason"),
    [
        pytest.param("raise RuntimeError('no')", "the fork server has ended", id="error"),
        pytest.param("import os; os._exit(1)", "the fork server has ended", id="exit"),
        pytest.param("import time; time.sleep(60)", "definitions did not load within 1 s", id="no response"),
    ],
)
def test_code_server_starts_runs_if_definitions_do_not_load(
    setup: LauncherSetup,
    default_launcher_runs: list[str],
    definitions: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, another = setup.create_run("quick"), setup.create_run("quick")
    setup.file.write_text(definitions, encoding="utf-8")
    if "sleep" in definitions:
        monkeypatch.setattr(forking_run_launcher, "_LOAD_TIMEOUT_S", 1.0)
    for launched in (run, another):
        setup.launcher.launch_run(LaunchRunContext(launched, None))
    assert default_launcher_runs == [run.run_id, another.run_id]
    assert reason in setup.messages(run.run_id)
    assert "the definitions failed to load within the last five minutes" in setup.messages(another.run_id)


def test_repaired_definitions_are_loaded_again(
    setup: LauncherSetup, default_launcher_runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration = setup.log_file.with_name("openai_costs.yaml")
    monkeypatch.setenv("OPENAI_COSTS_CONFIG", str(configuration))
    good = setup.file.read_text(encoding="utf-8")
    runs = [setup.create_run("quick") for _ in range(2)]
    setup.file.write_text("raise RuntimeError('no')", encoding="utf-8")
    setup.launcher.launch_run(LaunchRunContext(runs[0], None))
    setup.file.write_text(good, encoding="utf-8")
    configuration.write_text("changed", encoding="utf-8")
    setup.launcher.launch_run(LaunchRunContext(runs[1], None))
    assert default_launcher_runs == [runs[0].run_id]
    assert setup.wait_until_finished(runs[1].run_id) is dg.DagsterRunStatus.SUCCESS


def test_run_of_the_code_server_has_no_process_tag_of_the_killed_fork_server(
    setup: LauncherSetup, default_launcher_runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = setup.create_run("quick")
    add_run_tags = setup.instance.add_run_tags

    def kill_fork_server_after_recording(run_id: str, tags: Mapping[str, str]) -> None:
        add_run_tags(run_id, tags)
        for process in psutil.Process().children():
            if "orchestration.runtime.fork_server" in " ".join(process.cmdline()):
                process.kill()
                process.wait()

    with monkeypatch.context() as patched:
        patched.setattr(setup.instance, "add_run_tags", kill_fork_server_after_recording)
        setup.launcher.launch_run(LaunchRunContext(run, None))
    assert default_launcher_runs == [run.run_id]
    assert setup.launcher.check_run_worker_health(setup.run(run.run_id)).status is WorkerStatus.RUNNING
    assert setup.log_lines() == []


@pytest.mark.parametrize(
    ("ended", "later", "status"),
    [
        (False, 0, WorkerStatus.RUNNING),
        (True, 0, WorkerStatus.NOT_FOUND),
        # The process id belongs to a process that started an hour after the run.
        (False, -3600, WorkerStatus.NOT_FOUND),
    ],
)
def test_run_of_the_code_server_is_dead_if_its_logged_process_has_ended(
    setup: LauncherSetup,
    default_launcher_runs: list[str],
    monkeypatch: pytest.MonkeyPatch,
    ended: bool,
    later: float,
    status: WorkerStatus,
) -> None:
    run = setup.create_run("quick")
    monkeypatch.setattr(setup.launcher, "_backoff_until", float("inf"))
    setup.launcher.launch_run(LaunchRunContext(run, None))
    assert default_launcher_runs == [run.run_id]
    assert setup.launcher.check_run_worker_health(setup.run(run.run_id)).status is WorkerStatus.RUNNING
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = time.time()
        with monkeypatch.context() as patched:
            patched.setattr(time, "time", lambda: started + 1 + later)
            setup.instance.report_engine_event("Started process.", run, EngineEventData.in_process(process.pid))
        if ended:
            process.kill()
            process.wait()
        health = setup.launcher.check_run_worker_health(setup.run(run.run_id))
        process.kill()
    assert health.status is status


def test_starting_run_with_a_dead_process_is_failed_at_once(setup: LauncherSetup) -> None:
    configuration = Configuration.model_construct(organizations={}, asset_key_prefix=("quick",))
    alive, dead, another = (setup.create_run("quick") for _ in range(3))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        ended = process_id.Process.of(process.pid)
        process.kill()
    on_another_host = replace(ended, place=replace(ended.place, host="elsewhere", machine="another"))
    for run, worker in ((alive, process_id.Process.of()), (dead, ended), (another, on_another_host)):
        setup.instance.add_run_tags(run.run_id, {PROCESS_TAG: process_id.tag_of(run.run_id, worker)})
    tick_records.end_dead_runs(setup.instance, configuration)
    statuses = [setup.run(run.run_id).status for run in (alive, dead, another)]
    assert statuses == [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTING]
    assert setup.run(dead.run_id).tags["dagster/will_retry"] == "true"


def test_disposed_launcher_does_not_fork(setup: LauncherSetup, default_launcher_runs: list[str]) -> None:
    run = setup.create_run("quick")
    setup.launcher.dispose()
    setup.launcher.launch_run(LaunchRunContext(run, None))
    assert default_launcher_runs == [run.run_id]
    assert setup.log_lines() == []


def test_run_whose_process_cannot_be_recorded_does_not_start(
    setup: LauncherSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = setup.create_run("quick")

    def fail(*_: object) -> None:
        raise OSError("the storage is unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(setup.instance, "add_run_tags", fail)
        with pytest.raises(OSError, match="is unavailable"):
            setup.launcher.launch_run(LaunchRunContext(run, None))
    assert setup.wait_until_finished(setup.launch("quick")) is dg.DagsterRunStatus.SUCCESS
    assert len(setup.log_lines()) == 1
