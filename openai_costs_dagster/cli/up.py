"""`openai-costs up`: runs Dagster's UI and daemon with the user's configuration."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import click

from openai_costs_dagster.cli.errors import InputMistake
from openai_costs_dagster.display_text import printable

STATE_FILE = "up.json"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on. The UI has no password.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the UI; default: 3000, or a free port.")
@click.pass_context
def up(context: click.Context, host: str, port: int | None) -> None:
    """Run Dagster's UI and daemon until interrupted. The daemon refreshes costs and sends alerts.

    A process that is killed or does not answer is restarted.
    """
    from openai_costs_dagster.cli.backfill import end_abandoned_runs
    from openai_costs_dagster.cli.dagster_dev import DagsterDev
    from openai_costs_dagster.cli.session import open_session, selected_organizations
    from openai_costs_dagster.cli.up_lease import only_up
    from openai_costs_dagster.configuration import load
    from openai_costs_dagster.orchestration.runtime.instance import describe_run_launcher
    from openai_costs_dagster.sync.onboarding import start_dates
    from openai_costs_dagster.warehouse import embedded

    # SIGHUP means that the terminal was closed, which stops all processes. Under nohup, SIGHUP stays ignored.
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    configuration = load()
    state_file = state_file_of(configuration.data_directory)
    _stop_killed_predecessor(state_file)
    session = open_session(configuration)
    session.database.check_privileges()
    context.with_resource(only_up(session.database))
    # Onboarding comes before the start of Dagster, because the partitions of an organization begin with its first day.
    _, unreachable = start_dates(selected_organizations(configuration, ()), session.database)
    for name, error in unreachable.items():
        click.echo(printable(f"{name} cannot be read now: {error}"), err=True)
    end_abandoned_runs(session)
    server = DagsterDev(state_file, len(configuration.organizations))
    try:
        url = server.start(
            session.environment,
            database=session.database,
            restart_database=None if configuration.database else partial(embedded.start, configuration.data_directory),
            host=host,
            port=port,
            log_format=context.obj,
            log_file=None,
        )
        click.echo(f"Dagster is up: {url} (Ctrl-C ends it)")
        click.echo(describe_run_launcher(len(configuration.organizations)))
        server.supervise()
    except RuntimeError as error:
        raise InputMistake(str(error)) from None
    except OSError as error:
        raise InputMistake(f"{error.filename} cannot be written: {error.strerror}") from None
    finally:
        server.stop()


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
