"""`openai-costs up`: runs Dagster's UI and daemon with the user's configuration."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from openai_costs_dagster.cli.errors import InputMistake
from openai_costs_dagster.display_text import printable

if TYPE_CHECKING:
    from openai_costs_dagster.cli.dagster_dev import DagsterDev
    from openai_costs_dagster.cli.session import Session
    from openai_costs_dagster.cli.webserver_address import WebserverAddress
    from openai_costs_dagster.configuration import Configuration
    from openai_costs_dagster.warehouse.database import Database

STATE_FILE = "up.json"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on. The UI has no password.")
@click.option("--port", type=int, help="Port of the UI; default: 3000, or a free port.")
@click.pass_context
def up(context: click.Context, host: str, port: int | None) -> None:
    """Run Dagster's UI and daemon until interrupted. The daemon refreshes costs and sends alerts.

    A process that is killed or does not answer is restarted. The exit code is 0 after Ctrl-C and SIGTERM.
    """
    from openai_costs_dagster.cli.webserver_address import choose_address
    from openai_costs_dagster.configuration import load

    # SIGHUP means that the terminal was closed, which stops all processes. Under nohup, SIGHUP stays ignored.
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    # Users end `openai-costs up` with Ctrl-C, so an interruption is no error and must not print a traceback.
    with suppress(KeyboardInterrupt):
        configuration = load()
        _stop_killed_predecessor(state_file_of(configuration.data_directory))
        _run(configuration, choose_address(host, port, configuration.allowed_hosts), context.obj)


def _run(configuration: Configuration, address: WebserverAddress, log_format: str) -> None:
    """Start Dagster and supervise it until interrupted."""
    from openai_costs_dagster.cli.backfill import end_abandoned_runs
    from openai_costs_dagster.cli.session import open_session, selected_organizations
    from openai_costs_dagster.cli.up_lease import only_up
    from openai_costs_dagster.orchestration.runtime.instance import describe_run_launcher
    from openai_costs_dagster.sync.onboarding import start_dates

    # The lines below set DAGSTER_HOME for this process, so the user's own value is read first.
    run_launcher = describe_run_launcher(len(configuration.organizations))
    session = open_session(configuration)
    session.database.check_privileges()
    with only_up(session.database):
        # Onboarding comes before the start of Dagster, because the partitions of an organization begin with its first
        # day.
        _, unreachable = start_dates(selected_organizations(configuration, ()), session.database)
        for name, error in unreachable.items():
            click.echo(printable(f"{name} cannot be read now: {error}"), err=True)
        end_abandoned_runs(session)
        _serve(session, address, log_format, run_launcher)


def _serve(session: Session, address: WebserverAddress, log_format: str, run_launcher: str) -> None:
    from openai_costs_dagster.cli.dagster_dev import DagsterDev
    from openai_costs_dagster.warehouse import embedded

    configuration = session.configuration
    server = DagsterDev(state_file_of(configuration.data_directory), address, len(configuration.organizations))
    # On a terminal, Dagster's log lines would push the address out of sight.
    log_file = session.log_file if sys.stderr.isatty() else None
    try:
        server.start(
            session.environment,
            database=session.database,
            restart_database=None if configuration.database else partial(embedded.start, configuration.data_directory),
            log_format=log_format,
            log_file=log_file,
        )
        click.echo(run_launcher)
        if log_file:
            click.echo(f"Dagster's log: {log_file}")
        click.echo(f"Dagster is up: {address.url} (Ctrl-C ends it)")
        server.supervise()
    except OSError as error:
        raise InputMistake(f"{error.filename} cannot be written: {error.strerror}") from None
    finally:
        _stop(server, session)


def _stop(server: DagsterDev, session: Session) -> None:
    """Stop Dagster and print what keeps running."""
    click.echo("stopping Dagster; Ctrl-C again stops it at once", err=True)
    server.stop()
    click.echo("Dagster has stopped", err=True)
    for line in _unfinished_runs(session.database):
        click.echo(line, err=True)
    if not session.configuration.database:
        click.echo("PostgreSQL keeps running: openai-costs down stops it", err=True)


def _unfinished_runs(database: Database) -> Iterator[str]:
    """Yield the number of runs that other processes still execute, and the number of runs that were interrupted."""
    from openai_costs_dagster.orchestration.runtime.process_id import State, of_run
    from openai_costs_dagster.warehouse import dagster_runs
    from openai_costs_dagster.warehouse.errors import WarehouseError

    try:
        with database.connect() as connection:
            runs = dagster_runs.unfinished(connection)
    except WarehouseError:
        return
    processes = [of_run(run.run_id, run.process_tag) for run in runs]
    running = sum(process is not None and process.state is State.RUNNING for process in processes)
    if running:
        yield f"runs of other processes, for example of openai-costs backfill, keep running: {running}"
    if len(runs) > running:
        yield f"runs that have not ended, and whose days are read again later: {len(runs) - running}"


def _stop_killed_predecessor(state_file: Path) -> None:
    """Stop the processes that a killed `up` left behind. Raises `InputMistake` if `up` is running on this host.

    If the recorded process belongs to another host or container, which may no longer exist, only a warning is printed.
    """
    from openai_costs_dagster.cli.dagster_dev import recorded_process, stop_recorded_processes
    from openai_costs_dagster.orchestration.runtime.process_id import State

    process = recorded_process(state_file)
    if process and process.state is State.RUNNING:
        raise InputMistake(
            f"openai-costs up is already running (see {state_file}): "
            "stop it with Ctrl-C there, or with openai-costs down"
        )
    if process and process.state is State.UNKNOWN:
        click.echo(
            f"{state_file} names a process of {process.place.host}: stop it there if it is still running", err=True
        )
    elif stop_recorded_processes(state_file):
        click.echo("ended the processes of an openai-costs up that was killed", err=True)


def state_file_of(data_directory: Path) -> Path:
    """Return the file in which `up` records its processes."""
    return data_directory / STATE_FILE
