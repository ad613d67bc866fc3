"""`openai-costs anomalies`: list and explain findings, mute series, and mark findings as expected."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import click

from openai_costs_dagster.cli.errors import InputMistake
from openai_costs_dagster.days import ONE_DAY, RECENT_DAYS, utc_now
from openai_costs_dagster.records import FeedbackKind

if TYPE_CHECKING:
    from openai_costs_dagster.cli.session import Session
    from openai_costs_dagster.warehouse.anomalies import StoredFeedback, StoredFinding

# The longest mute in days, about a hundred years. A mute without --days has no end.
_LONGEST_MUTE = 36_500


@click.group()
def anomalies() -> None:
    """List and explain anomalies, mute series, and mark findings as expected."""


@anomalies.command("list")
@click.option("--org", "organization", metavar="NAME", help="Only this organization.")
@click.option(
    "--days", default=RECENT_DAYS, show_default=True, type=click.IntRange(min=1), help="Number of days, today included."
)
@click.option("--all", "everything", is_flag=True, help="Include findings that are too small, muted or expected.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in which amounts are strings.")
def list_anomalies(organization: str | None, days: int, everything: bool, as_json: bool) -> None:
    """List findings, newest first."""
    from openai_costs_dagster.cli.console import Column, show_table
    from openai_costs_dagster.spend.money import signed_dollars

    found = [finding for finding in _findings(_open_session(), organization, days) if everything or finding.is_open]
    if as_json:
        click.echo(json.dumps([_as_json(finding) for finding in found], indent=2))
        return
    if not found:
        click.echo(f"no {'' if everything else 'open '}anomalies in the last {days} days")
        return
    show_table(
        (
            Column("id", right=True),
            Column("organization"),
            Column("day"),
            Column("impact", right=True),
            Column("severity"),
            Column("what happened", wraps=True),
        ),
        [
            (
                str(finding.anomaly_id),
                finding.organization,
                str(finding.usage_date),
                signed_dollars(finding.impact),
                finding.severity,
                finding.explanation + (f" [{finding.feedback}]" if finding.feedback else ""),
            )
            for finding in found
        ],
    )


@anomalies.command()
@click.argument("anomaly_id", metavar="ID", type=int)
def explain(anomaly_id: int) -> None:
    """Print all stored values of a finding."""
    from openai_costs_dagster.cli.console import print_line

    finding = _finding(_open_session(), anomaly_id)
    print_line(finding.explanation)
    for name, value in _as_json(finding).items():
        if value is not None and name != "explanation":
            print_line(f"  {name}: {value}")


@anomalies.command()
@click.argument("anomaly_id", metavar="ID", type=int)
@click.option("--reason", required=True, help="The reason, which is shown with the finding.")
@click.option(
    "--days", type=click.IntRange(1, _LONGEST_MUTE), help="Number of days, today included; without an end if omitted."
)
def mute(anomaly_id: int, reason: str, days: int | None) -> None:
    """Stop alerts about the series of a finding.

    The series is still evaluated, and its findings are stored.
    """
    from openai_costs_dagster.warehouse.anomalies import end_of_mute

    session = _open_session()
    finding = _finding(session, anomaly_id)
    last = end_of_mute(utc_now().date(), days)
    _store_feedback(session, finding, "mute", last, reason)
    until = f"until {last}" if days else "without an end"
    click.echo(f"muted {until}: {finding.level} of {finding.organization}; it is still evaluated and stored")


@anomalies.command()
@click.argument("anomaly_id", metavar="ID", type=int)
def unmute(anomaly_id: int) -> None:
    """End the mutes of the series of a finding.

    Days of the series that are evaluated from now on can alert again.
    """
    session = _open_session()
    ended = _delete_feedback(session, anomaly_id, "mute")
    if not ended:
        raise InputMistake(
            f"finding {anomaly_id} has no active mute: openai-costs anomalies mutes lists the mutes with their ids"
        )
    click.echo(
        f"unmuted: {ended} mute{'s' if ended > 1 else ''} ended; days that are evaluated from now on alert again"
    )


@anomalies.command()
@click.option("--org", "organization", metavar="NAME", help="Only this organization.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def mutes(organization: str | None, as_json: bool) -> None:
    """List active mutes with the finding ids that unmute takes."""
    from openai_costs_dagster.cli.console import Column, show_table

    found = _answers(_open_session(), "mute", organization, utc_now().date())
    if as_json:
        click.echo(json.dumps([_answer_as_json(answer) for answer in found], indent=2))
        return
    if not found:
        click.echo("there are no active mutes")
        return
    show_table(
        (
            Column("id", right=True),
            Column("organization"),
            Column("series", wraps=True),
            Column("since"),
            Column("until"),
            Column("muted at", optional=True),
            Column("reason", wraps=True),
        ),
        [
            (
                str(answer.anomaly_id),
                answer.organization,
                _scope(answer),
                str(answer.first_day),
                str(answer.until or "no end"),
                f"{answer.given_at:%Y-%m-%d %H:%M} UTC",
                answer.reason,
            )
            for answer in found
        ],
    )


@anomalies.command()
@click.argument("anomaly_id", metavar="ID", type=int)
@click.option("--reason", required=True, help="The reason, which is shown with the finding.")
def expected(anomaly_id: int, reason: str) -> None:
    """Mark a finding as expected.

    Later days are compared with the level of spend on the day of the finding.
    """
    session = _open_session()
    finding = _finding(session, anomaly_id)
    # The mark covers only the day of the finding, because the detector expects the level of a marked day from then on.
    _store_feedback(session, finding, "expected", finding.usage_date, reason)
    click.echo(
        f"marked as expected: {finding.usage_date} of {finding.organization}; from the next evaluation on, "
        "later days are compared with the level of this finding"
    )


@anomalies.command()
@click.argument("anomaly_id", metavar="ID", type=int)
def withdraw(anomaly_id: int) -> None:
    """Remove the mark that a finding was expected.

    Its day and later days are evaluated without the mark.
    """
    session = _open_session()
    if not _delete_feedback(session, anomaly_id, "expected"):
        given = [f"{one.anomaly_id} ({one.organization}, {one.first_day})" for one in _answers(session, "expected")]
        those = ", ".join(given) or "none"
        raise InputMistake(f"finding {anomaly_id} is not marked as expected; these findings are: {those}")
    click.echo(
        f"withdrawn: finding {anomaly_id} is no longer marked as expected; its day and later days are evaluated "
        "without the mark at their next evaluation"
    )


def _open_session() -> Session:
    from openai_costs_dagster.cli.session import open_session

    return open_session()


def _findings(session: Session, organization: str | None, days: int) -> list[StoredFinding]:
    from openai_costs_dagster.warehouse import anomalies as stored

    if organization is not None:
        # The call raises an error for an unknown name, which would otherwise look like an organization without
        # findings.
        session.configuration.organization(organization)
    first = utc_now().date() - (days - 1) * ONE_DAY
    with session.database.connect() as connection:
        return stored.findings(connection, organization, first=first)


def _finding(session: Session, anomaly_id: int) -> StoredFinding:
    from openai_costs_dagster.warehouse import anomalies as stored

    with session.database.connect() as connection:
        found = stored.findings(connection, anomaly_id=anomaly_id)
    if not found:
        raise InputMistake(f"there is no finding {anomaly_id}: openai-costs anomalies list --all lists all findings")
    return found[0]


def _store_feedback(
    session: Session, finding: StoredFinding, kind: FeedbackKind, last_day: dt.date, reason: str
) -> None:
    from openai_costs_dagster.warehouse import anomalies as stored

    if not reason.strip():
        raise InputMistake("--reason must not be empty: it explains the decision to the next reader of the finding")
    with session.database.connect() as connection:
        is_kept = stored.store_feedback(
            connection, finding.anomaly_id, kind=kind, last_day=last_day, reason=reason, now=utc_now()
        )
    if not is_kept:
        raise InputMistake(
            f"finding {finding.anomaly_id} no longer exists because its day was evaluated again: list findings again"
        )


def _delete_feedback(session: Session, anomaly_id: int, kind: FeedbackKind) -> int:
    from openai_costs_dagster.warehouse import anomalies as stored

    with session.database.connect() as connection:
        return stored.delete_feedback(connection, anomaly_id, kind=kind)


def _answers(
    session: Session, kind: FeedbackKind, organization: str | None = None, running_on: dt.date | None = None
) -> list[StoredFeedback]:
    from openai_costs_dagster.warehouse import anomalies as stored

    if organization is not None:
        session.configuration.organization(organization)
    with session.database.connect() as connection:
        return stored.stored_feedback(connection, kind, organization, running_on=running_on)


def _scope(answer: StoredFeedback) -> str:
    series = answer.series
    if answer.project_name and series.project:
        series = series._replace(project=answer.project_name)
    named = ", ".join([*series.names, *([answer.line_item] if answer.line_item else [])])
    return f"{answer.level}: {named}" if named else answer.level


def _answer_as_json(answer: StoredFeedback) -> dict[str, Any]:
    columns = {"organization": answer.organization, **answer.series.columns(), "level": answer.level}
    shown = columns | {name: value for name, value in answer._asdict().items() if name not in {"kind", "series"}}
    shown["last_day"] = answer.until
    shown["given_at"] = answer.given_at.isoformat()
    return {name: value if isinstance(value, int | None) else str(value) for name, value in shown.items()}


def _as_json(finding: StoredFinding) -> dict[str, Any]:
    return {
        # Amounts become strings, because many JSON parsers read numbers as floats and lose digits.
        name: value if isinstance(value, bool | int | None) else str(value)
        for name, value in finding.columns().items()
    }
