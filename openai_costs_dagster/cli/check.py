"""`openai-costs check`: tests the admin key and the connection of each organization."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from multiprocessing.pool import ThreadPool
from typing import NamedTuple

import click

from openai_costs_dagster.api.connection_check import (
    ConnectionCheck,
    admin_key_warning,
    check_connection,
)
from openai_costs_dagster.configuration import Organization, load
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.days import utc_now

_MAX_PARALLEL = 32  # A test mostly waits for the network, so the limit is not the number of processors.


class _Test(NamedTuple):
    organization: Organization
    result: ConnectionCheck
    warning: str | None


@click.command()
@click.argument("organizations", nargs=-1, metavar="[ORG]...")
@click.pass_context
def check(context: click.Context, organizations: tuple[str, ...]) -> None:
    """Test the admin key and the connection of each organization.

    Exits with 1 if a test fails.
    """
    from openai_costs_dagster.cli.logs import log_errors_only
    from openai_costs_dagster.cli.session import selected_organizations

    configuration = load()
    # The printed result contains the last error of a test, so log lines about its retries would only repeat it.
    log_errors_only()
    failed = False
    seen: dict[str, str] = {}
    for organization, result, warning in _run_tests(selected_organizations(configuration, organizations)):
        unique = _reject_duplicate(organization, result, seen)
        _report(organization, unique, warning)
        failed = failed or not unique.ok
    context.exit(1 if failed else 0)


def _run_tests(organizations: Sequence[Organization]) -> Iterator[_Test]:
    """Test organizations in parallel, and yield the results in the given order."""
    # The threads are daemons, so that Ctrl-C does not wait for the end of their requests.
    with ThreadPool(min(len(organizations), _MAX_PARALLEL)) as pool:
        yield from pool.imap(_test, organizations)


def _test(organization: Organization) -> _Test:
    from openai_costs_dagster.sync.onboarding import connection_settings

    try:
        settings = connection_settings(organization)
        result = check_connection(settings, organization.organization_id, utc_now)
        return _Test(organization, result, admin_key_warning(settings))
    except SecretUnavailable as error:
        return _Test(organization, ConnectionCheck(False, "The admin key cannot be read", str(error)), None)


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
    from openai_costs_dagster.cli.console import print_line

    print_line(f"{organization.name}: {result.headline}")
    print_line(f"  Endpoint: {organization.base_url}")
    known = result.organization_id or organization.organization_id
    if result.ok:
        print_line(f"  Organization: {known or 'unknown, because it had no costs in the last week'}")
    for note in filter(None, (warning, result.clock_warning)):
        print_line(f"  Note: {note}")
    if result.advice:
        print_line(f"  What to do: {result.advice}")
