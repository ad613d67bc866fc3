"""`openai-costs remove`: removes an organization, and deletes its data with --purge."""

from __future__ import annotations

import click

from openai_costs_dagster.cli.errors import InputMistake


@click.command()
@click.argument("organization", metavar="ORG")
@click.option(
    "--purge", is_flag=True, help="Delete its rows, raw responses and revisions, and Dagster's records about it."
)
def remove(organization: str, purge: bool) -> None:
    """Remove an organization that the configuration no longer contains; --purge deletes its data.

    While the configuration contains it, the command fails and shows the lines to delete.
    """
    from openai_costs_dagster.asset_paths import OrganizationName
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.configuration import load
    from openai_costs_dagster.orchestration.runs.purge import purge_organization
    from openai_costs_dagster.report import locations
    from openai_costs_dagster.warehouse import organizations

    configuration = load()
    if organization in configuration.organizations:
        raise InputMistake(_still_configured(organization))
    session = open_session(configuration)
    with session.database.connect() as connection:
        known = organizations.find(connection, organization)
    if known is None:
        raise InputMistake(f"there is no organization {organization!r}, neither configured nor stored")
    if not purge:
        click.echo(
            f"{organization} is no longer read; its data remain. "
            f"To delete them: openai-costs remove {organization} --purge"
        )
        return
    gone = OrganizationName(organization, configuration.asset_key_prefix)
    for table, rows in purge_organization(session.database, session.environment, gone).items():
        click.echo(f"{rows} rows deleted from {table}")
    # The report file covers all organizations in one page, so the whole file is deleted.
    locations.delete_report(configuration)
    for file in locations.exported_files(configuration):
        click.echo(f"{file} may still contain {organization}: export that month again, or delete the file")
    click.echo(f"{organization} was deleted")


def _still_configured(organization: str) -> str:
    from openai_costs_dagster.configuration import lines_of_organization, load

    source = load().source
    if source is None:
        return f"{organization} comes from OPENAI_ADMIN_KEY: unset it first"
    lines = "\n".join(f"  {number}: {line}" for number, line in lines_of_organization(source, organization))
    return f"{source} still contains {organization}; delete these lines first:\n{lines}"
