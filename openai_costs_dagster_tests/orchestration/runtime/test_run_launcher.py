"""Tests that Dagster's run monitoring finds dead runs, with real code servers and runs of the default run launcher."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._grpc.client import DagsterGrpcClient

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.orchestration.runtime import run_launcher
from openai_costs_dagster.orchestration.runtime.instance import describe_run_launcher
from openai_costs_dagster.orchestration.runtime.instance import run_launcher as run_launcher_setting
from openai_costs_dagster.orchestration.runtime.run_launcher import RunLauncher
from openai_costs_dagster.warehouse.database import Database

from ...cli.program import is_alive, until
from ...conftest import Configure, OpenInstance

ACME = Organization(name="acme", admin_key=SecretReference(env="ACME_KEY"))
LOCATION = "code"
DEFINITIONS = """
import os, pathlib, time
import dagster as dg

@dg.asset
def endless():
    pathlib.Path({pid_file!r}).write_text(str(os.getpid()))
    while True:
        time.sleep(0.1)

defs = dg.Definitions(assets=[endless], executor=dg.in_process_executor)
"""


class Installation:
    """A code server, an instance with the default run launcher, and the workspace of a daemon."""

    def __init__(self, instance: dg.DagsterInstance, folder: Path, *, port: int | None) -> None:
        self.instance = instance
        self.port = port
        self.socket = None if port else str(folder / "code.sock")
        self._pid_file = folder / "pid"
        self._definitions = folder / "definitions.py"
        self._definitions.write_text(DEFINITIONS.format(pid_file=str(self._pid_file)), encoding="utf-8")
        self._stack = ExitStack()
        self._server: subprocess.Popen[bytes] | None = None

    def start_code_server(self) -> None:
        address = ["-p", str(self.port), "-h", "127.0.0.1"] if self.port else ["--socket", str(self.socket)]
        file = ["-f", str(self._definitions), "-a", "defs", "--location-name", LOCATION]
        command = [sys.executable, "-m", "dagster", "api", "grpc", *address, *file]
        self._server = subprocess.Popen(command, start_new_session=True)  # noqa: S603
        self._stack.callback(self.kill_code_server_and_runs)
        client = DagsterGrpcClient(host="127.0.0.1", port=self.port, socket=self.socket)
        until(lambda: client.health_check_query() == "SERVING")  # type: ignore[no-untyped-call]

    def kill_code_server(self) -> None:
        assert self._server
        self._server.kill()
        self._server.wait()

    def kill_code_server_and_runs(self) -> None:
        assert self._server
        try:
            os.killpg(self._server.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._server.wait()

    @cached_property
    def daemon_workspace(self) -> WorkspaceProcessContext:
        """The workspace of a daemon that loaded the definitions before the code server was killed."""
        target = GrpcServerTarget(host="127.0.0.1", port=self.port, socket=self.socket, location_name=LOCATION)
        return self._stack.enter_context(WorkspaceProcessContext(self.instance, target))

    def launch(self) -> str:
        """Launch a run of the asset `endless` and wait until the run has started."""
        workspace = self.daemon_workspace.create_request_context()
        job = workspace.get_code_location(LOCATION).get_repository("__repository__").get_full_job("__ASSET_JOB")
        key = dg.AssetKey("endless")
        run = self.instance.create_run_for_job(
            dg.Definitions(assets=[dg.asset(name="endless")(lambda: None)]).resolve_implicit_global_asset_job_def(),
            asset_selection=frozenset({key}),
            remote_job_origin=job.get_remote_origin(),
        )
        self.instance.launch_run(run.run_id, workspace)
        until(self._pid_file.exists)
        until(lambda: self._pid_file.read_text(encoding="utf-8"))
        until(lambda: self.status(run.run_id) is dg.DagsterRunStatus.STARTED)
        return run.run_id

    @property
    def launcher(self) -> RunLauncher:
        launcher = self.instance.run_launcher
        assert type(launcher) is RunLauncher
        return launcher

    @property
    def run_process(self) -> psutil.Process:
        return psutil.Process(int(self._pid_file.read_text(encoding="utf-8")))

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run
        return run.status

    def monitored_status(self, run_id: str) -> dg.DagsterRunStatus:
        """Let Dagster's run monitoring check all runs once, as its daemon does, and return the status of a run."""
        errors = [e for e in execute_run_monitoring_iteration(self.daemon_workspace, logging.getLogger(__name__)) if e]
        assert errors == []
        return self.status(run_id)

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def install(
    open_instance: OpenInstance, configure: Configure, database: Database, tmp_path: Path
) -> Iterator[Callable[..., Installation]]:
    with ExitStack() as stack:

        def make(*, port: int | None = None) -> Installation:
            installation = Installation(open_instance(configure(ACME), database), tmp_path, port=port)
            stack.callback(installation.close)
            installation.start_code_server()
            return installation

        yield make


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_run_that_died_with_its_code_server_is_failed_by_run_monitoring(install: Callable[..., Installation]) -> None:
    installed = install()
    run = installed.launch()
    installed.kill_code_server()
    assert installed.monitored_status(run) is dg.DagsterRunStatus.STARTED  # The process of the run still exists.
    process = installed.run_process
    process.kill()
    until(lambda: not is_alive(process))
    assert installed.monitored_status(run) is dg.DagsterRunStatus.FAILURE


def test_run_in_another_container_is_failed_once_its_code_server_has_restarted(
    install: Callable[..., Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = install(port=free_port())
    monkeypatch.setattr(run_launcher, "_LAUNCH_TIMEOUT_S", 0.0)
    run = installed.launch()
    assert installed.monitored_status(run) is dg.DagsterRunStatus.STARTED
    installed.kill_code_server_and_runs()
    assert installed.monitored_status(run) is dg.DagsterRunStatus.STARTED  # The code server may be restarting.
    installed.start_code_server()
    assert installed.monitored_status(run) is dg.DagsterRunStatus.FAILURE


def test_run_that_is_being_launched_is_not_checked_in_its_code_server(
    install: Callable[..., Installation], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = install(port=free_port())
    run_id = installed.launch()
    installed.kill_code_server_and_runs()
    installed.start_code_server()
    run = installed.instance.get_run_by_id(run_id)
    assert run
    monkeypatch.setattr(run_launcher, "_LAUNCH_TIMEOUT_S", 3600.0)
    assert installed.launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    monkeypatch.setattr(run_launcher, "_LAUNCH_TIMEOUT_S", 0.0)
    assert installed.launcher.check_run_worker_health(run).status is WorkerStatus.NOT_FOUND


@pytest.mark.parametrize(("organizations", "forks"), [(1, False), (49, False), (50, True), (1000, True)])
def test_runs_are_forked_from_50_organizations_on(organizations: int, forks: bool) -> None:
    expected = "ForkingRunLauncher" if forks else "RunLauncher"
    assert run_launcher_setting(organizations)["class"] == expected
    assert ("fork server" in describe_run_launcher(organizations)) is forks
