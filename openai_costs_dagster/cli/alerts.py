"""`openai-costs alerts`: test channels, list alerts and their delivery, and retry undelivered messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from openai_costs_dagster.cli.errors import InputMistake
from openai_costs_dagster.days import ONE_DAY, utc_now
from openai_costs_dagster.display_text import printable

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

    Exits with 1 if a channel does not accept it.
    """
    from openai_costs_dagster.alerts import delivery
    from openai_costs_dagster.alerts.routing import routes
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.warehouse import outbox

    session = open_session()
    known = routes(session.configuration)
    names = [one.name for one in known]
    if not names:
        raise InputMistake("no alerts are configured: add alerts: to openai_costs.yaml, as docs/alerts.md shows")
    if channel and channel not in names:
        raise InputMistake(f"there is no channel {channel!r}; configured: {', '.join(names)}")
    now = utc_now()
    with session.database.connect() as connection:
        outbox.record(connection, delivery.test_alert(channel or "", now), now)
    # Other pending alerts are left to the sensor, because alerts of one cause are still collected into one message.
    delivery.route(session.database, known, now, delivery.GROUPING_DELAY, tests_only=True)
    chosen = [one for one in known if channel in {None, one.name}]
    # A command has no time limit like the tick of a sensor, so the deadline is far away.
    done = delivery.deliver(session.database, chosen, session.configuration.dagster_url, utc_now, utc_now() + ONE_DAY)
    for one in chosen:
        click.echo(printable(f"{one.name}: {done.failed.get(one.name, 'delivered')}"))
    context.exit(1 if done.failed else 0)


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
