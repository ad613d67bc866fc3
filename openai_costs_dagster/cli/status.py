"""`openai-costs status`: the table, the messages and the JSON document that the command prints.

The data come from `monitoring/status.py` (organizations), `cli/scheduling.py` (sensors, dead runs, heartbeat),
`warehouse/outbox.py` (undelivered alerts) and `orchestration/runs/abandoned_runs.py` (runs without a process).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from openai_costs_dagster.cost_records import format_amount
from openai_costs_dagster.days import RECENT_DAYS, utc_now
from openai_costs_dagster.spend.money import dollars

if TYPE_CHECKING:
    from openai_costs_dagster.monitoring.status import Overview
    from openai_costs_dagster.warehouse.anomalies import StoredFinding
    from openai_costs_dagster.warehouse.budgets import BudgetState


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document in which amounts are strings.")
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Show stored days, month to date, sensors and required actions.

    Exits with 1 if an action is required.
    """
    from openai_costs_dagster.cli import scheduling
    from openai_costs_dagster.cli.console import print_line
    from openai_costs_dagster.cli.session import open_session
    from openai_costs_dagster.monitoring.status import delivery_problems, overviews
    from openai_costs_dagster.orchestration.runs.abandoned_runs import stuck_runs

    session = open_session()
    organizations = overviews(session.configuration, session.database, utc_now())
    undelivered = delivery_problems(session.database, utc_now())
    scheduled = scheduling.scheduling(session.configuration, session.database, utc_now())
    with session.database.connect() as connection:
        stuck = stuck_runs(connection, session.configuration.asset_key_prefix, utc_now())
    is_ok = not (
        undelivered
        or stuck
        or scheduled.problems
        or any(organization.required_actions for organization in organizations)
    )
    if as_json:
        document = {
            "ok": is_ok,
            "organizations": [_organization_as_json(organization) for organization in organizations],
            "delivery_problems": undelivered,
            "stuck_runs": stuck,
            "scheduling": scheduling.as_json(scheduled),
        }
        click.echo(json.dumps(document, indent=2))
    else:
        print_overviews(organizations)
        for message in [*(f"alerts to {problem}" for problem in undelivered), *stuck]:
            print_line(message)
        scheduling.print_scheduling(scheduled)
    context.exit(0 if is_ok else 1)


def print_overviews(organizations: Sequence[Overview]) -> None:
    """Print one table row per organization, then a line per open anomaly, budget and required action."""
    from openai_costs_dagster.cli.console import Column, print_line, show_table

    show_table(
        (
            Column("organization", wraps=True),
            Column("last day"),
            Column("month to date", right=True),
            Column("forecast", right=True),
            Column(f"open anomalies ({RECENT_DAYS} days)", right=True),
            Column("missing days", right=True),
            Column("settled until", optional=True),
            Column("allocated to users", right=True, optional=True),
            Column("allocated to keys", right=True, optional=True),
            Column("grouping", wraps=True, optional=True),
        ),
        [
            (
                one.title if one.title == one.organization else f"{one.organization} ({one.title})",
                str(one.last_day or "never"),
                _month_to_date(one),
                "-" if one.forecast is None else dollars(one.forecast),
                str(len(one.open_anomalies)),
                str(one.missing_days),
                str(one.last_settled_day or "-"),
                _percent(one.allocated_to_users_percent),
                _percent(one.allocated_to_keys_percent),
                # A table cell has space for the two newest groupings, and the JSON document contains all.
                [f"{days.grouping} since {days.first_day}" for days in one.groupings[-2:]] or "-",
            )
            for one in organizations
        ],
    )
    for organization in organizations:
        for message in _messages(organization):
            print_line(f"{organization.organization}: {message}")


def _messages(organization: Overview) -> list[str]:
    from openai_costs_dagster.monitoring.status import describe_budget

    messages = [f"anomaly {finding.usage_date}: {finding.explanation}" for finding in organization.open_anomalies]
    messages += [f"budget {describe_budget(state)}" for state in organization.budgets]
    if organization.other_currencies:
        messages.append(_other_currencies(organization))
    return messages + organization.required_actions


def _month_to_date(organization: Overview) -> list[str]:
    """Return the month to date, one line per currency. Amounts of different currencies are never added."""
    others = _in_currencies(organization.month_to_date_other_currencies)
    return [dollars(organization.month_to_date), *others]


def _other_currencies(organization: Overview) -> str:
    amounts = " and ".join(_in_currencies(organization.other_currencies))
    return (
        f"billed {amounts} since {organization.other_currencies_since}; "
        "forecasts, budgets and anomalies cover US dollars only"
    )


def _in_currencies(amounts: Mapping[str | None, Decimal]) -> list[str]:
    return [format_amount(amount, currency) for currency, amount in amounts.items()]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1f} %"


def _organization_as_json(organization: Overview) -> dict[str, Any]:
    """Return the JSON object of an organization. docs/command-line.md documents every key."""
    return {
        "organization": organization.organization,
        "title": organization.title,
        "last_day": _text(organization.last_day),
        "last_settled_day": _text(organization.last_settled_day),
        "missing_days": organization.missing_days,
        "missing_ranges": [
            {"first_day": str(days.first), "last_day": str(days.last)} for days in organization.missing_ranges
        ],
        "groupings": [{name: str(value) for name, value in asdict(days).items()} for days in organization.groupings],
        "month_to_date_usd": _text(organization.month_to_date),
        "month_to_date_other_currencies": _amounts_as_json(organization.month_to_date_other_currencies),
        "other_currencies": _amounts_as_json(organization.other_currencies),
        "other_currencies_since": _text(organization.other_currencies_since),
        "forecast_usd": _text(organization.forecast),
        "forecast_low_usd": _text(organization.forecast_low),
        "forecast_high_usd": _text(organization.forecast_high),
        "forecast_as_of": _text(organization.forecast_as_of),
        "open_anomalies": [_finding_as_json(finding) for finding in organization.open_anomalies],
        "allocated_to_users_percent": organization.allocated_to_users_percent,
        "allocated_to_keys_percent": organization.allocated_to_keys_percent,
        "budgets": [_budget_as_json(state) for state in organization.budgets],
        "missing_endpoints": organization.missing_endpoints,
        "last_success_at": organization.last_success_at and organization.last_success_at.isoformat(),
        "last_error": organization.last_error,
        "required_actions": organization.required_actions,
    }


def _finding_as_json(finding: StoredFinding) -> dict[str, Any]:
    columns = finding.series.columns()
    return {
        "id": finding.anomaly_id,
        "usage_date": str(finding.usage_date),
        "level": finding.level,
        "project_id": columns["project_id"],
        "project_name": finding.project_name,
        "model": columns["model"],
        "service": columns["service"],
        "api_key_id": columns["api_key_id"],
        "user_id": columns["user_id"],
        "line_item": finding.line_item,
        "actual_usd": f"{finding.actual:f}",
        "expected_usd": f"{finding.expected:f}",
        "impact_usd": f"{finding.impact:f}",
        "severity": finding.severity,
        "status": "open" if finding.is_open else "closed",
        "alerted_at": finding.alerted_at and finding.alerted_at.isoformat(),
        "explanation": finding.explanation,
    }


def _budget_as_json(state: BudgetState) -> dict[str, Any]:
    return {
        "name": state.budget,
        # The title of a budget ends with its period.
        "period": state.budget.rpartition(", ")[2],
        "scope": state.scope,
        "scope_id": state.scope_id,
        "period_start": str(state.period_start),
        "period_end": str(state.period_end),
        "limit_usd": f"{state.amount_limit:f}",
        "spent_usd": f"{state.spent:f}",
        "forecast_usd": _text(state.forecast),
        "forecast_low_usd": _text(state.forecast_low),
        "forecast_high_usd": _text(state.forecast_high),
        "forecast_as_of": _text(state.complete_to),
        "status": _budget_status(state),
    }


def _budget_status(state: BudgetState) -> str:
    if state.spent >= state.amount_limit:
        return "exceeded"
    if state.forecast is not None and state.forecast >= state.amount_limit:
        return "forecast_to_exceed"
    return "within_limit"


def _text(value: object) -> str | None:
    # The format `f` never writes an exponent, unlike `str` with an amount such as 0E-8.
    return f"{value:f}" if isinstance(value, Decimal) else None if value is None else str(value)


def _amounts_as_json(amounts: Mapping[str | None, Decimal]) -> list[dict[str, str | None]]:
    return [{"currency": currency, "amount": f"{amount:f}"} for currency, amount in amounts.items()]
