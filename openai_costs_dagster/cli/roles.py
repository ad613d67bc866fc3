"""`openai-costs roles`: the SQL that makes roles of least privilege, for someone who may."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--by-organization", is_flag=True, help="Readers see only organizations that are named for them in a table."
)
def roles(by_organization: bool) -> None:
    """Print SQL that makes an owner, a loader and a reader with no more rights than they need; runs nothing.

    Use it as: openai-costs roles | psql -v ON_ERROR_STOP=1 URL, as someone who may create roles.
    """
    from openai_costs_dagster.warehouse.roles import script

    click.echo(script(by_organization=by_organization))
