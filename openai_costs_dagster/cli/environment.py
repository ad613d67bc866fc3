"""`openai-costs env` and `database-url`: how other programs find the same history."""

from __future__ import annotations

import shlex

import click


@click.command()
def env() -> None:
    """Print the exports with which a plain `dagster dev` sees the same history.

    Use it as: eval "$(openai-costs env)". The database's password is not printed, but asked for when needed.
    """
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.orchestration.runtime.instance import STORAGE_URL

    for name, value in open_session().environment.items():
        quoted = '"$(openai-costs database-url --dagster)"' if name == STORAGE_URL else shlex.quote(value)
        click.echo(f"export {name}={quoted}")


@click.command("database-url")
@click.option("--dagster", is_flag=True, help="The URL of Dagster's own storage instead.")
def database_url(dagster: bool) -> None:
    """Print what psql should be given; starts the embedded server if it is not running."""
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.orchestration.runtime.instance import storage_url

    database = open_session().database
    click.echo(storage_url(database) if dagster else database.url)
