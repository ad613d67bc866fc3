"""`openai-costs readers`: creates database roles that may read the views and nothing else."""

from __future__ import annotations

import click


@click.group()
def readers() -> None:
    """Create database roles that may read the views and nothing else."""


@readers.command()
@click.argument("name")
@click.option(
    "--organization",
    "organizations",
    metavar="ORG",
    multiple=True,
    help="An organization that the reader sees, or '*' for all. Needs the script of roles --by-organization.",
)
@click.option("--sql", is_flag=True, help="Print the SQL for an administrator instead of executing it.")
def add(name: str, organizations: tuple[str, ...], sql: bool) -> None:
    """Create the reader NAME with its limits, or set them for an existing role.

    DATABASE_URL must belong to a role that may create roles.
    """
    from openai_costs_dagster.warehouse import readers as database_readers

    if sql:
        click.echo(database_readers.script(name, organizations))
        return
    from openai_costs_dagster.cli.session import open_session

    database = open_session().database
    existed = database_readers.add(database, name, organizations)
    click.echo(f"{name} may read the views of {database.safe_url}")
    if not existed:
        click.echo(f"The role has no password yet. Set one in psql: \\password {name}")
    if database_readers.sees_nothing(database, name):
        click.echo(f"{name} sees no rows yet: repeat the command with --organization ORG")
