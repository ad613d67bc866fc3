"""Reads the spend that counts against each budget, and stores how much of a budget is spent in each period."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

ALLOCATED = frozenset({"user", "api_key"})
"""The scopes of budgets (user and API key) whose spend is read from allocated costs, not from billed costs."""

_QUERIES = {
    "organization": "budgets/spend_of_organization",
    "user": "budgets/spend_of_user",
    "api_key": "budgets/spend_of_api_key",
}
_DELETE_OPENAI_BUDGETS = "delete from openai_costs.openai_budgets where organization = %(organization)s"


@dataclass(frozen=True)
class BudgetState:
    """The evaluation of one budget in one period, for example a month. Amounts are in US dollars.

    `spent` is the spend of the period up to now. `complete_to` is the last day in `spent` whose costs were fetched
    after the day had ended. `forecast` estimates the spend at the end of the period, and is None if no spend is stored.
    """

    budget: str
    period_start: dt.date
    period_end: dt.date
    scope: str
    scope_id: str | None
    amount_limit: Decimal
    spent: Decimal
    forecast: Decimal | None
    forecast_low: Decimal | None
    forecast_high: Decimal | None
    complete_to: dt.date | None


def spend(
    connection: Connection, organization: str, scope: str, scope_id: str | None, days: DayRange
) -> dict[dt.date, Decimal]:
    """Return the daily spend that counts against a budget, in US dollars by day.

    Costs in other currencies are left out, because amounts in different currencies cannot be added.
    """
    # One query serves the scopes project, model and service, which are columns of the same view. Each other scope has a
    # query of its own.
    query = _QUERIES.get(scope, "budgets/spend_of_scope")
    values = {
        "organization": organization,
        "scope": scope,
        "scope_id": scope_id,
        "first": days.first,
        "last": days.last,
    }
    return dict(connection.execute(statement(query), values).fetchall())


def store_states(connection: Connection, organization: str, states: Iterable[BudgetState], now: dt.datetime) -> None:
    """Store the evaluations of budgets. The evaluation of the same budget and period is replaced."""
    with connection.cursor() as cursor:
        cursor.executemany(
            statement("budgets/upsert_state"),
            [{"organization": organization, "now": now, **asdict(state)} for state in states],
        )


def was_evaluated(
    connection: Connection, organization: str, budget: str, period_start: dt.date, amount_limit: Decimal
) -> bool:
    """Return whether the budget was already evaluated with the same limit, in this period or the previous period."""
    values = {
        "organization": organization,
        "budget": budget,
        "period_start": period_start,
        "amount_limit": amount_limit,
    }
    row = connection.execute(statement("budgets/was_evaluated"), values).fetchone()
    return bool(row and row[0])


def delete_unconfigured(connection: Connection, organization: str, budgets: Iterable[str]) -> None:
    """Delete the stored evaluations of all budgets of an organization that are not listed in `budgets`.

    Such budgets were removed from the configuration.
    """
    values = {"organization": organization, "budgets": list(budgets)}
    connection.execute(statement("budgets/delete_unconfigured"), values)


def store_openai_budgets(
    connection: Connection, organization: str, limits: Iterable[tuple[Decimal, bool]], now: dt.datetime
) -> None:
    """Replace the stored spend limits that are set for an organization at OpenAI.

    Each limit is a tuple: US dollars per month, and whether OpenAI refuses requests above the limit.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_DELETE_OPENAI_BUDGETS, {"organization": organization})
        cursor.executemany(
            statement("budgets/insert_openai_budget"),
            [
                {"organization": organization, "amount_limit": amount, "is_hard": is_hard, "now": now}
                for amount, is_hard in limits
            ],
        )


def openai_budgets(connection: Connection, organization: str) -> list[tuple[Decimal, bool]]:
    """Return the stored spend limits that are set for an organization at OpenAI.

    Each limit is a tuple: US dollars per month, and whether OpenAI refuses requests above the limit.
    """
    return connection.execute(statement("budgets/openai_budgets"), {"organization": organization}).fetchall()
