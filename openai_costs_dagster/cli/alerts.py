"""`openai-costs alerts`: test channels, list alerts and their delivery, and retry undelivered messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from openai_costs_dagster.cli.errors import InputMistake
from openai_costs_dagster.days import utc_now

if TYPE_CHECKING:
    from openai_costs_dagster.warehouse import outbox


@click.group()
def alerts() -> None:
    """Test channels, list alerts and retry undelivered messages."""


@alerts.command()
@click.argument("channel", metavar="[CHANNEL]", required=False)
@click.pass_context
def test(context: click.Context, channel: str | None) -> None:
    """Send a test alert to CHANNEL, or to all channels.

    Exits with 1 if a channel does not accept it. A failed test is not repeated.
    """
    from openai_costs_dagster.alerts import delivery
    from openai_costs_dagster.alerts.routing import routes
    from openai_costs_dagster.cli.console import print_line
    from openai_costs_dagster.cli.session import open_session

    session = open_session()
    known = routes(session.configuration)
    names = [one.name for one in known]
    if not names:
        raise InputMistake("no alerts are configured: add alerts: to openai_costs.yaml, as docs/alerts.md shows")
    if channel and channel not in names:
        raise InputMistake(f"there is no channel {channel!r}; configured: {', '.join(names)}")
    results = delivery.send_test(session.database, known, channel or "", session.configuration.dagster_url, utc_now)
    for name, error in results.items():
        print_line(f"{name}: {error or 'delivered'}")
    context.exit(1 if any(results.values()) else 0)


@alerts.command("list")
@click.option("--count", default=30, show_default=True, type=click.IntRange(min=1), help="Number of alerts.")
def list_alerts(count: int) -> None:
    """List alerts, newest first, with the state of their delivery."""
    from openai_costs_dagster.cli.console import Column, show_table
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.warehouse import outbox

    with open_session().database.connect() as connection:
        found = outbox.recent(connection, count)
    if not found:
        click.echo("there are no alerts yet")
        return
    show_table(
        (
            Column("time (UTC)"),
            Column("organization"),
            Column("kind"),
            Column("severity", optional=True),
            Column("message", wraps=True),
            Column("delivery", wraps=True),
        ),
        [
            (
                f"{one.created_at:%Y-%m-%d %H:%M}",
                one.organization or "-",
                f"{one.kind} {one.event}".strip(),
                one.severity,
                one.message,
                _delivery_status(one),
            )
            for one in found
        ],
    )


@alerts.command()
def retry() -> None:
    """Schedule undelivered messages for another attempt. Dagster's daemon then sends the messages."""
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.warehouse import outbox

    with open_session().database.connect() as connection:
        count = outbox.requeue_dead(connection, utc_now())
    click.echo(f"{count} messages will be sent again")


def _delivery_status(one: outbox.RecentAlert) -> str:
    if one.acknowledged:
        return "not sent: acknowledged"
    if one.routed_at is None:
        return "pending"
    return ", ".join(one.deliveries) or "no channel accepts it"
