"""`openai-costs down`: stops the embedded PostgreSQL server and processes that `up` left behind."""

from __future__ import annotations

import click


@click.command()
def down() -> None:
    """Stop the embedded PostgreSQL server and the processes of `up`.

    Data remain.
    """
    from openai_costs_dagster.cli.dagster_dev import stop_recorded_processes
    from openai_costs_dagster.cli.up import state_file_of
    from openai_costs_dagster.configuration import load
    from openai_costs_dagster.warehouse import embedded

    configuration = load()
    if stop_recorded_processes(state_file_of(configuration.data_directory)):
        click.echo("Dagster stopped")
    if configuration.database:
        click.echo("the database is your own server and keeps running")
    elif embedded.stop(configuration.data_directory):
        click.echo("PostgreSQL stopped")
    else:
        click.echo("PostgreSQL was not running")
