"""`openai-costs anomalies`: what was found, why, and what people say of it."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from openai_costs_dagster.cli.sentences import InputMistake
from openai_costs_dagster.days import ONE_DAY, RECENT_DAYS, utc_now

if TYPE_CHECKING:
    from openai_costs_dagster.cli.session import Session
    from openai_costs_dagster.warehouse.anomalies import StoredFinding

_FOREVER = dt.date(9999, 12, 31)


@click.group()
def anomalies() -> None:
    """Show what was found, explain it, and answer it."""


@anomalies.command("list")
@click.option("--org", "organization", metavar="NAME", help="Only of this organization.")
@click.option(
    "--days", default=RECENT_DAYS, show_default=True, type=click.IntRange(min=1), help="How far to look back."
)
@click.option("--all", "everything", is_flag=True, help="Also what is too small, muted or expected.")
@click.option("--json", "as_json", is_flag=True, help="For machines; amounts are strings.")
def show_all(organization: str | None, days: int, everything: bool, as_json: bool) -> None:
    """List findings, the newest first."""
    from openai_costs_dagster.cli.output import show_table

    found = [finding for finding in _findings(_begin(), organization, days) if everything or finding.is_open]
    if as_json:
        click.echo(json.dumps([_as_json(finding) for finding in found], indent=2))
        return
    if not found:
        click.echo(f"no {'' if everything else 'open '}anomalies in the last {days} days")
        return
    show_table(
        ("id", "organization", "day", "impact", "severity", "what happened"),
        [
            (
                str(finding.anomaly_id),
                finding.organization,
                str(finding.usage_date),
                f"{'-' if finding.impact < 0 else '+'}${abs(finding.impact):,.2f}",
                finding.severity,
                finding.explanation + (f" [{finding.feedback}]" if finding.feedback else ""),
            )
            for finding in found
        ],
        right=(0, 3),
    )


@anomalies.command()
@click.argument("anomaly_id", metavar="ID", type=int)
def explain(anomaly_id: int) -> None:
    """Say all that is known of one finding."""
    finding = _finding(_begin(), anomaly_id)
    click.echo(finding.explanation)
    for name, value in _as_json(finding).items():
        if value is not None and name != "explanation":
            click.echo(f"  {name}: {value}")


@anomalies.command()
@click.argument("anomaly_id", metavar="ID", type=int)
@click.option("--reason", required=True, help="Why; it is shown with the finding.")
@click.option("--days", type=click.IntRange(min=1), help="For so many days from the finding's; for ever without.")
def mute(anomaly_id: int, reason: str, days: int | None) -> None:
    """Stop alerting about a finding's series; it is judged and kept as before."""
    session = _begin()
    finding = _finding(session, anomaly_id)
    last = finding.usage_date + (days - 1) * ONE_DAY if days else _FOREVER
    _say(session, finding, "mute", last, reason)
    until = f"until {last}" if days else "from now on"
    click.echo(f"muted {until}: {finding.level} of {finding.organization}; it is judged and kept as before")


@anomalies.command()
@click.argument("anomaly_id", metavar="ID", type=int)
@click.option("--reason", required=True, help="Why; it is shown with the finding.")
def expected(anomaly_id: int, reason: str) -> None:
    """Say that a finding was expected: its level is the normal one from its day on."""
    session = _begin()
    finding = _finding(session, anomaly_id)
    _say(session, finding, "expected", finding.usage_date, reason)
    click.echo(
        f"noted: {finding.usage_date} of {finding.organization} was expected; later days are judged by its level "
        "when they are judged next"
    )


def _begin() -> Session:
    from openai_costs_dagster.cli.session import begin

    return begin()


def _findings(session: Session, organization: str | None, days: int) -> list[StoredFinding]:
    from openai_costs_dagster.warehouse import anomalies as stored

    if organization is not None:
        session.configuration.organization(organization)
    first = utc_now().date() - (days - 1) * ONE_DAY
    with session.database.connect() as connection:
        return stored.findings(connection, organization, first=first)


def _finding(session: Session, anomaly_id: int) -> StoredFinding:
    from openai_costs_dagster.warehouse import anomalies as stored

    with session.database.connect() as connection:
        found = stored.findings(connection, anomaly_id=anomaly_id)
    if not found:
        raise InputMistake(f"there is no finding {anomaly_id}: openai-costs anomalies list --all shows those there are")
    return found[0]


def _say(session: Session, finding: StoredFinding, kind: str, last_day: dt.date, reason: str) -> None:
    from openai_costs_dagster.warehouse import anomalies as stored

    if not reason.strip():
        raise InputMistake("a reason cannot be empty: whoever reads the finding next will ask")
    with session.database.connect() as connection:
        stored.keep_feedback(connection, finding.anomaly_id, kind=kind, last_day=last_day, reason=reason, now=utc_now())


def _as_json(finding: StoredFinding) -> dict[str, Any]:
    return {
        name: value if isinstance(value, bool | int | None) else str(value) for name, value in asdict(finding).items()
    }
