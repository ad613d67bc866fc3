"""Evaluates budgets: stores the state of each budget after new days are stored, and records alerts for reached
thresholds.

The alert of a threshold is recorded once per period and budget amount, in the transaction that stores the state.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Budget, Organization
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.records import Severity
from openai_costs_dagster.spend import budgets as rules
from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.budgets import BudgetStatus, Crossing, KnownDays
from openai_costs_dagster.spend.money import dollars
from openai_costs_dagster.warehouse import budgets, coverage, outbox
from openai_costs_dagster.warehouse.budgets import ALLOCATED, BudgetState
from openai_costs_dagster.warehouse.database import Connection

KIND: Final = "budget"
_WHOLE_BUDGET = Decimal(1)
_CROSSED, _FORECAST = "crossed", "forecast"


@dataclass(frozen=True)
class BudgetDay:
    """The spend and the limit of a budget at the end of a UTC day, in US dollars."""

    title: str
    spent: Decimal
    limit: Decimal
    crossed: tuple[Decimal, ...]
    """The alert thresholds that spend reached on this day, as shares of the limit."""

    @property
    def share(self) -> float:
        """The share of the limit that is spent, where 1 is the whole limit.

        With a limit of zero, the share is 1 as soon as there is any spend.
        """
        return float(self.spent / self.limit) if self.limit else float(self.spent > 0)

    @property
    def is_over(self) -> bool:
        """Whether the whole limit is spent."""
        return self.share >= 1


def known_days(connection: Connection, organization: str) -> KnownDays | None:
    """Return the days for which an organization's spend is stored, or None if no day is stored.

    Status, report, budgets, checks and alerts all use this function, so that their forecasts begin on the same day.
    """
    stored = coverage.coverage(connection, organization)
    if stored.first_day is None or stored.last_day is None:
        return None
    # On the first day of an organization, only the unfinished current day is stored, so that no complete day exists.
    if stored.complete_to is None:
        return KnownDays(stored.last_day, None)
    days = DayRange(stored.first_day, stored.complete_to)
    return KnownDays(
        stored.last_day,
        stored.complete_to,
        frozenset(coverage.unread_days(connection, organization, days)),
    )


def month_status(connection: Connection, organization: str, today: dt.date, known: KnownDays) -> BudgetStatus:
    """Return the spend and the forecast of an organization in the calendar month that contains `today`."""
    period = rules.period_of(today, "month")
    return rules.budget_status(_spend(connection, organization, ("organization", None), period), period, known)


def current_states(
    connection: Connection, organization: Organization, today: dt.date, known: KnownDays
) -> list[BudgetState]:
    """Return the state of every budget in the period that contains `today`, sorted by name.

    The states are computed from the stored costs. The table of budget states is not used, because it may be older than
    the costs.
    """
    states = []
    for budget in _all_budgets(connection, organization):
        period = rules.period_of(today, budget.period)
        spend = _spend(connection, organization.name, budget.scope, period)
        states.append(_state(budget, rules.budget_status(spend, period, known)))
    return sorted(states, key=lambda state: state.budget)


def _spend(
    connection: Connection, organization: str, scope: tuple[str, str | None], period: DayRange
) -> dict[dt.date, Decimal]:
    """Return the spend by day in a period, and in the days before the period from which its forecast is computed."""
    return budgets.spend(connection, organization, *scope, DayRange(period.first - rules.HISTORY, period.last))


def has_budgets(organization: Organization, *, allocated: bool) -> bool:
    """Return whether an organization has budgets that the check on costs or on allocated costs has to evaluate.

    With `allocated=True`, these are the budgets of users and API keys, which need allocated costs. Without `allocated`,
    these are all other budgets, including budgets that are read from OpenAI and may not exist.
    """
    return bool(_select(organization.budgets, allocated=allocated)) or (organization.openai_budgets and not allocated)


def _select(budgets: Iterable[Budget], *, allocated: bool) -> list[Budget]:
    return [budget for budget in budgets if (budget.scope[0] in ALLOCATED) == allocated]


def _all_budgets(connection: Connection, organization: Organization) -> list[Budget]:
    """Return the configured budgets.

    With the setting `openai_budgets`, add the spend limits and alerts that are set at OpenAI.
    """
    if not organization.openai_budgets:
        return list(organization.budgets)
    return [
        *organization.budgets,
        *(_openai_budget(amount, is_hard) for amount, is_hard in budgets.openai_budgets(connection, organization.name)),
    ]


def _openai_budget(amount: Decimal, is_hard: bool) -> Budget:
    if is_hard:
        return Budget(amount_usd=amount, name="OpenAI's spend limit")
    # An alert at OpenAI fires at its full amount, so the default thresholds (50 %, 80 % and 100 %) would be wrong.
    return Budget(amount_usd=amount, name=f"OpenAI's spend alert of {dollars(amount)}", alert_at=(_WHOLE_BUDGET,))


def evaluate_budgets(
    connection: Connection,
    organization: Organization,
    days: Collection[dt.date],
    now: dt.datetime,
    *,
    allocated: bool,
    alert_since: dt.date,
) -> dict[dt.date, list[BudgetDay]]:
    """Store the state of each budget in all periods of `days`, record alerts, and return the budgets of each day.

    A threshold that was reached before `alert_since` is recorded as acknowledged, so that no alert is sent. If the
    budget was never evaluated in the period, a threshold that was reached on a day outside `days` is recorded as
    acknowledged as well, because the budget was added after that day.
    """
    by_day: dict[dt.date, list[BudgetDay]] = {day: [] for day in days}
    name = organization.name
    known = known_days(connection, name)
    if known is None or not days:
        return by_day
    with connection.transaction():
        outbox.lock(connection, name)
        configured = _all_budgets(connection, organization)
        # The list includes the budgets that `allocated` excludes, because the states of all budgets share a table and
        # must not be deleted.
        budgets.delete_unconfigured(connection, name, [budget.title for budget in configured])
        for budget in _select(configured, allocated=allocated):
            for period in rules.periods_of(days, budget.period):
                spend = _spend(connection, name, budget.scope, period)
                status = rules.budget_status(spend, period, known)
                crossed = rules.crossings(spend, status, budget.amount_usd, budget.alert_at)
                # This query comes before the new state is stored, because the stored state would count as an earlier
                # evaluation.
                was_evaluated = budgets.was_evaluated(connection, name, budget.title, period.first, budget.amount_usd)
                budgets.store_states(connection, name, [_state(budget, status)], now)
                for crossing in crossed:
                    is_sent = crossing.day >= alert_since and (was_evaluated or crossing.day in days)
                    _record(
                        connection,
                        _BudgetCrossing(organization, budget, status, crossing),
                        now,
                        acknowledged=not is_sent,
                    )
                for day, budget_day in _budget_days(budget, spend, status, crossed, days):
                    by_day[day].append(budget_day)
    return by_day


def _budget_days(
    budget: Budget,
    spend: dict[dt.date, Decimal],
    status: BudgetStatus,
    crossed: Iterable[Crossing],
    days: Collection[dt.date],
) -> Iterable[tuple[dt.date, BudgetDay]]:
    so_far = Decimal(0)
    for day in status.period:
        if status.known_to is None or day > status.known_to:
            return
        so_far = money.add(so_far, spend.get(day, Decimal(0)))
        if day in days:
            shares = tuple(crossing.share for crossing in crossed if crossing.day == day and not crossing.is_forecast)
            yield day, BudgetDay(budget.title, so_far, budget.amount_usd, shares)


def _state(budget: Budget, status: BudgetStatus) -> BudgetState:
    scope, scope_id = budget.scope
    expected, low, high = status.forecast or (None, None, None)
    return BudgetState(
        budget.title,
        status.period.first,
        status.period.last,
        scope,
        scope_id,
        budget.amount_usd,
        status.spent,
        expected,
        low,
        high,
        status.known_to,
    )


@dataclass(frozen=True)
class _BudgetCrossing:
    """A threshold that was reached, with the budget and its state. The text of the alert is made from them."""

    organization: Organization
    budget: Budget
    status: BudgetStatus
    crossing: Crossing

    def key(self, event: str) -> str:
        """Return the key that prevents a second alert about the same threshold.

        Trailing zeros are removed from amounts, so that a limit of 100 and a limit of 100.00 have the same key.
        """
        limit, share = (f"{money.normalised(number):f}" for number in (self.budget.amount_usd, self.crossing.share))
        first_day = str(self.status.period.first)
        return outbox.dedup_key("budget", self.organization.name, self.budget.title, first_day, limit, share, event)


def _record(connection: Connection, crossed: _BudgetCrossing, now: dt.datetime, *, acknowledged: bool) -> None:
    """Record the alert of a threshold that spend reached or is forecast to reach.

    No forecast alert is recorded after the threshold was reached, even if a credit has lowered the spend since.
    """
    if crossed.crossing.is_forecast and outbox.is_recorded(connection, crossed.key(_CROSSED)):
        return
    outbox.record(connection, _alert(crossed), now, acknowledged=acknowledged)


def _alert(crossed: _BudgetCrossing) -> outbox.Alert:
    organization, budget, status, crossing = crossed.organization, crossed.budget, crossed.status, crossed.crossing
    scope, scope_id = budget.scope
    event = _FORECAST if crossing.is_forecast else _CROSSED
    share, limit = f"{float(100 * crossing.share):g} %", dollars(budget.amount_usd)
    verb = "is forecast to be crossed" if crossing.is_forecast else "was crossed"
    return outbox.Alert(
        dedup_key=crossed.key(event),
        kind=KIND,
        event=event,
        severity=_severity(crossing),
        title=f"{organization.name}: {share} of the {_named(budget)} {verb}",
        message=_message(budget, status, crossing, share, limit),
        organization=organization.name,
        project_id=scope_id if scope == "project" else None,
        usage_date=crossing.day,
        facts=_facts(status, limit),
        page=asset_paths.check_page(_asset(organization, scope), asset_paths.BUDGETS, crossing.day),
    )


def _message(budget: Budget, status: BudgetStatus, crossing: Crossing, share: str, limit: str) -> str:
    if crossing.is_forecast and status.forecast:
        expected = dollars(status.forecast.expected)
        return (
            f"{expected} of spend is forecast by {status.period.last}, over {share} of the {_named(budget)}, {limit}."
        )
    return f"On {crossing.day} spend reached {share} of the {_named(budget)}, {limit}."


def _named(budget: Budget) -> str:
    """Return the name of a budget for a sentence, as in ``monthly budget of project proj_search``."""
    scope, scope_id = budget.scope
    dimension = scope.replace("api_key", "API key")
    if budget.name:
        return f"{budget.period}ly budget {budget.name}"
    return f"{budget.period}ly budget of {f'{dimension} {scope_id}' if scope_id else 'the organization'}"


def _facts(status: BudgetStatus, limit: str) -> list[tuple[str, str]]:
    facts = [("Budget", limit), ("Spent", f"{dollars(status.spent)} through {status.known_to}")]
    if status.forecast:
        expected, low, high = status.forecast
        facts.append((f"Forecast for {status.period.last}", f"{dollars(expected)} ({dollars(low)} to {dollars(high)})"))
    return facts


def _severity(crossing: Crossing) -> Severity:
    if crossing.share >= _WHOLE_BUDGET:
        return "medium" if crossing.is_forecast else "high"
    return "low" if crossing.is_forecast or crossing.share < Decimal("0.8") else "medium"


def _asset(organization: Organization, scope: str) -> list[str]:
    return (
        asset_paths.allocated_costs_path(organization) if scope in ALLOCATED else asset_paths.costs_path(organization)
    )
