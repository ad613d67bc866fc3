"""`openai-costs env` and `database-url`: settings for other programs that use the same database."""

from __future__ import annotations

import shlex

import click


@click.command()
def env() -> None:
    """Print shell exports with which `dagster dev` uses the same database.

    Usage: eval "$(openai-costs env)". The exports contain a command that reads the password, not the password itself.
    """
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.orchestration.runtime.instance import STORAGE_URL

    for name, value in open_session().environment.items():
        quoted = '"$(openai-costs database-url --dagster)"' if name == STORAGE_URL else shlex.quote(value)
        click.echo(f"export {name}={quoted}")


@click.command("database-url")
@click.option("--dagster", is_flag=True, help="Print the URL of Dagster's storage instead.")
def database_url(dagster: bool) -> None:
    """Print the database URL for psql.

    Starts the embedded server if it is not running.
    """
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.orchestration.runtime.instance import storage_url

    database = open_session().database
    click.echo(storage_url(database) if dagster else database.url)
