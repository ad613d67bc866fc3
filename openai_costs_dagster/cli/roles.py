"""`openai-costs roles`: prints SQL that creates database roles with least privilege."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--by-organization", is_flag=True, help="Readers see only the organizations that a table assigns to them."
)
@click.option(
    "--dedicated-database",
    is_flag=True,
    help="Other roles lose the right to create temporary tables and large objects in this database.",
)
def roles(by_organization: bool, dedicated_database: bool) -> None:
    """Print SQL that creates the roles owner, loader and reader with least privilege.

    Usage: openai-costs roles | psql -v ON_ERROR_STOP=1 URL, with a user that may create roles.
    """
    from openai_costs_dagster.warehouse.roles import script

    click.echo(script(by_organization=by_organization, dedicated_database=dedicated_database))
