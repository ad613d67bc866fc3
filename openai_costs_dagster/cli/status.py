"""`openai-costs status`: how far each organization is read, whether the sensors run, and what needs a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from openai_costs_dagster.cost_records import format_amount
from openai_costs_dagster.days import RECENT_DAYS, utc_now
from openai_costs_dagster.spend.money import dollars

if TYPE_CHECKING:
    from openai_costs_dagster.monitoring.status import Overview


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines; amounts are strings.")
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Show how far each organization is read and whether the sensors run; exit 1 when something needs a person."""
    from openai_costs_dagster.cli import scheduling
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.monitoring.status import delivery_problems, overviews
    from openai_costs_dagster.orchestration.runs.abandoned_runs import stuck_runs

    session = open_session()
    found = overviews(session.configuration, session.database, utc_now())
    undelivered = delivery_problems(session.database, utc_now())
    scheduled = scheduling.scheduling(session.configuration, session.database, utc_now())
    with session.database.connect() as connection:
        stuck = stuck_runs(connection, session.configuration.asset_key_prefix, utc_now())
    is_well = not undelivered and not stuck and not scheduled.problems and not _needs(found)
    if as_json:
        organizations = [_as_json(one) for one in found]
        document = {
            "ok": is_well,
            "organizations": organizations,
            "undelivered": undelivered,
            "stuck_runs": stuck,
            "scheduling": scheduling.as_json(scheduled),
        }
        click.echo(json.dumps(document, indent=2))
    else:
        print_overviews(found)
        for sentence in [*(f"alerts to {one}" for one in undelivered), *stuck]:
            click.echo(sentence)
        scheduling.print_scheduling(scheduled)
    context.exit(0 if is_well else 1)


def print_overviews(found: list[Overview]) -> None:
    """Prints the overviews as a table and what needs a person below it."""
    from openai_costs_dagster.cli.console import show_table

    show_table(
        (
            "organization",
            "last day",
            "settled to",
            "missing",
            "month to date",
            "forecast",
            f"open anomalies ({RECENT_DAYS} days)",
            "to users",
            "to keys",
            "detail",
        ),
        [
            (
                one.title if one.title == one.organization else f"{one.organization} ({one.title})",
                str(one.last_day or "never"),
                str(one.settled_to or "-"),
                str(one.missing_days),
                _month_to_date(one),
                "-" if one.forecast is None else dollars(one.forecast),
                str(len(one.open_anomalies)),
                _percent(one.to_users_percent),
                _percent(one.to_keys_percent),
                "; ".join(f"{part.grouping} since {part.first_day}" for part in one.detail[-2:]) or "-",
            )
            for one in found
        ],
        right=(3, 4, 5, 6, 7, 8),
    )
    for one in found:
        for sentence in one.open_anomalies:
            click.echo(f"{one.organization}: anomaly {sentence}")
        for sentence in one.budgets:
            click.echo(f"{one.organization}: budget {sentence}")
        if one.in_other_currencies:
            click.echo(f"{one.organization}: {_other_currencies(one)}")
        for sentence in one.needs:
            click.echo(f"{one.organization}: {sentence}")


def _month_to_date(one: Overview) -> str:
    """Different currencies stand side by side and are never added."""
    return " and ".join([dollars(one.month_to_date), *_in_currencies(one.month_in_other_currencies)])


def _other_currencies(one: Overview) -> str:
    amounts = " and ".join(_in_currencies(one.in_other_currencies))
    return (
        f"billed {amounts} since {one.other_currencies_since}, in no forecast, budget or anomaly: "
        "those cover US dollars only"
    )


def _in_currencies(amounts: Mapping[str | None, Decimal]) -> list[str]:
    return [format_amount(amount, currency) for currency, amount in amounts.items()]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1f} %"


def _needs(found: list[Overview]) -> bool:
    return any(one.needs for one in found)


def _as_json(one: Overview) -> dict[str, Any]:
    return {
        "organization": one.organization,
        "title": one.title,
        "last_day": one.last_day and one.last_day.isoformat(),
        "settled_to": one.settled_to and one.settled_to.isoformat(),
        "missing_days": one.missing_days,
        "missing": [{"first": str(days.first), "last": str(days.last)} for days in one.missing],
        "detail": [{name: str(value) for name, value in asdict(part).items()} for part in one.detail],
        "month_to_date_usd": f"{one.month_to_date:f}",
        "month_to_date_other_currencies": _amounts_as_json(one.month_in_other_currencies),
        "other_currencies": _amounts_as_json(one.in_other_currencies),
        "other_currencies_since": one.other_currencies_since and one.other_currencies_since.isoformat(),
        "forecast_usd": None if one.forecast is None else str(one.forecast),
        "forecast_known_to": one.known_to and one.known_to.isoformat(),
        "open_anomalies": one.open_anomalies,
        "allocated_to_users_percent": one.to_users_percent,
        "allocated_to_keys_percent": one.to_keys_percent,
        "budgets": one.budgets,
        "not_served": one.skipped,
        "last_success_at": one.last_success_at and one.last_success_at.isoformat(),
        "last_error": one.last_error,
        "needs": one.needs,
    }


def _amounts_as_json(amounts: Mapping[str | None, Decimal]) -> list[dict[str, str | None]]:
    return [{"currency": currency, "amount": f"{amount:f}"} for currency, amount in amounts.items()]
