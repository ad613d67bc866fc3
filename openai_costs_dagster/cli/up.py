"""`openai-costs up`: Dagster's UI and daemon on the user's own configuration."""

from __future__ import annotations

from pathlib import Path

import click

from openai_costs_dagster.cli.sentences import InputMistake

NOTE = "up.json"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="What to listen on; the UI has no password.")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: 3000, or a free one.")
@click.pass_context
def up(context: click.Context, host: str, port: int | None) -> None:
    """Serve Dagster's UI and run its daemon until interrupted; refreshes happen by themselves."""
    from openai_costs_dagster.cli.development_server import DevelopmentServer, running
    from openai_costs_dagster.cli.session import begin, chosen
    from openai_costs_dagster.configuration import load
    from openai_costs_dagster.orchestration.meeting import meet

    configuration = load()
    note = note_of(configuration.data_directory)
    if running(note):
        raise InputMistake(f"it is up already (see {note}): stop it with Ctrl-C there, or with openai-costs down")
    session = begin(configuration)
    _, strangers = meet(chosen(configuration, ()), session.database)
    for name, trouble in strangers.items():
        click.echo(f"{name} cannot be read now: {trouble}", err=True)
    server = DevelopmentServer(note, len(configuration.organizations))
    try:
        url = server.start(session.environment, host=host, port=port, log_format=context.obj, log_file=None)
        click.echo(f"Dagster is up: {url} (Ctrl-C ends it)")
        context.exit(server.wait())
    except RuntimeError as error:
        raise InputMistake(str(error)) from None
    finally:
        server.stop()


def note_of(data_directory: Path) -> Path:
    """Where `up` notes what it started."""
    return data_directory / NOTE
