"""`openai-costs exec`: runs another program in Dagster's environment, without a password in a file or command line."""

from __future__ import annotations

import os

import click

from openai_costs_dagster.cli.errors import InputMistake


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(command: tuple[str, ...]) -> None:
    """Run another program with the environment variables that Dagster needs.

    Usage: openai-costs exec -- dagster-webserver -w workspace.yaml. Does not create or migrate tables.
    """
    from openai_costs_dagster.configuration import load
    from openai_costs_dagster.orchestration import database_access
    from openai_costs_dagster.orchestration.runtime import instance

    configuration = load()
    environment = {**os.environ, **instance.environment(configuration, database_access.database(configuration))}
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - the user's command replaces this process
    except OSError as error:
        raise InputMistake(f"the program {command[0]} cannot be run: {error.strerror}") from None
