"""`openai-costs check`: tests the admin key and the connection of each organization."""

from __future__ import annotations

import click

from openai_costs_dagster.api.connection_check import (
    ConnectionCheck,
    admin_key_warning,
    check_connection,
)
from openai_costs_dagster.configuration import Organization, load
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.display_text import printable


@click.command()
@click.argument("organizations", nargs=-1, metavar="[ORG]...")
@click.pass_context
def check(context: click.Context, organizations: tuple[str, ...]) -> None:
    """Test the admin key and the connection of each organization.

    Exits with 1 if a test fails.
    """
    from openai_costs_dagster.cli.session import selected_organizations
    from openai_costs_dagster.sync.onboarding import connection_settings

    configuration = load()
    failed = False
    seen: dict[str, str] = {}
    for organization in selected_organizations(configuration, organizations):
        # The name is printed before the test, because the test may wait for retries.
        click.echo(f"{organization.name}: ", nl=False)
        try:
            settings = connection_settings(organization)
            result = check_connection(settings, organization.organization_id, utc_now().date())
            warning = admin_key_warning(settings)
        except SecretUnavailable as error:
            result, warning = ConnectionCheck(False, "The admin key cannot be read", str(error)), None
        result = _reject_duplicate(organization, result, seen)
        _report(organization, result, warning)
        failed = failed or not result.ok
    context.exit(1 if failed else 0)


def _reject_duplicate(organization: Organization, result: ConnectionCheck, seen: dict[str, str]) -> ConnectionCheck:
    """Fail the test of any second name for the same OpenAI organization, because its costs would be counted twice."""
    if not result.organization_id:
        return result
    other = seen.setdefault(result.organization_id, organization.name)
    if other == organization.name:
        return result
    return ConnectionCheck(
        False,
        f"{other} and {organization.name} are one OpenAI organization",
        f"both keys read {result.organization_id}, which would be counted twice: keep one of the two names",
    )


def _report(organization: Organization, result: ConnectionCheck, warning: str | None) -> None:
    click.echo(printable(result.headline))
    click.echo(f"  Endpoint: {organization.base_url}")
    known = result.organization_id or organization.organization_id
    if result.ok:
        click.echo(printable(f"  Organization: {known or 'unknown, because it had no costs in the last week'}"))
    if warning:
        click.echo(f"  Note: {warning}")
    if result.advice:
        click.echo(printable(f"  What to do: {result.advice}"))
