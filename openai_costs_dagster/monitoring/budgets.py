"""How an organization's budgets stand after days were read, and which of their shares were crossed.

A crossing is recorded once for each period, share and limit, in the transaction that keeps how the budget stands.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Budget, Organization
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.spend import budgets as rules
from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.budgets import BudgetStatus, Crossing, KnownDays
from openai_costs_dagster.spend.money import dollars
from openai_costs_dagster.warehouse import budgets, coverage, outbox
from openai_costs_dagster.warehouse.budgets import ALLOCATED, BudgetState
from openai_costs_dagster.warehouse.database import Connection

KIND = "budget"
_ALL = Decimal(1)
_CROSSED, _FORECAST = "crossed", "forecast"


@dataclass(frozen=True)
class BudgetDay:
    """A budget at the end of a day; US dollars."""

    title: str
    spent: Decimal
    limit: Decimal
    crossed: tuple[Decimal, ...]
    """The shares that were reached on this very day."""

    @property
    def share(self) -> float:
        """What was spent of it, 1 being all; of a budget of nothing everything is too much."""
        return float(self.spent / self.limit) if self.limit else float(self.spent > 0)

    @property
    def is_over(self) -> bool:
        """Whether all of it is spent."""
        return self.share >= 1


def known_days(connection: Connection, organization: str) -> KnownDays | None:
    """How far an organization's spend is known; None where nothing is stored.

    The one definition for every forecast: of status, report, budgets, checks and alerts.
    """
    stored = coverage.coverage(connection, organization)
    if stored.first_day is None or stored.last_day is None:
        return None
    if stored.complete_to is None:
        return KnownDays(stored.last_day, None)
    days = DayRange(stored.first_day, stored.complete_to)
    return KnownDays(
        stored.last_day,
        stored.complete_to,
        frozenset(coverage.unread_days(connection, organization, days)),
    )


def month_status(connection: Connection, organization: str, today: dt.date, known: KnownDays) -> BudgetStatus:
    """How an organization's present month stands, as a monthly budget of the organization would."""
    period = rules.period_of(today, "month")
    return rules.budget_status(_spend(connection, organization, ("organization", None), period), period, known)


def current_states(
    connection: Connection, organization: Organization, today: dt.date, known: KnownDays
) -> list[BudgetState]:
    """How every budget of an organization stands now in its present period, by name.

    Computed from what is stored at this moment: the states in the database are as old as their last check.
    """
    states = []
    for budget in _all(connection, organization):
        period = rules.period_of(today, budget.period)
        spend = _spend(connection, organization.name, budget.scope, period)
        states.append(_state(budget, rules.budget_status(spend, period, known)))
    return sorted(states, key=lambda state: state.budget)


def _spend(
    connection: Connection, organization: str, scope: tuple[str, str | None], period: DayRange
) -> dict[dt.date, Decimal]:
    """What counts in a period, and what its forecast looks back on."""
    return budgets.spend(connection, organization, *scope, DayRange(period.first - rules.HISTORY, period.last))


def has_budgets(organization: Organization, *, allocated: bool) -> bool:
    """Whether there may be budgets that are known once costs are shared out, or others."""
    return bool(_of(organization.budgets, allocated=allocated)) or (organization.openai_budgets and not allocated)


def _of(budgets: Iterable[Budget], *, allocated: bool) -> list[Budget]:
    return [one for one in budgets if (one.scope[0] in ALLOCATED) == allocated]


def _all(connection: Connection, organization: Organization) -> list[Budget]:
    """The configured ones and OpenAI's own, where those are read in."""
    if not organization.openai_budgets:
        return list(organization.budgets)
    return [*organization.budgets, *(_openais(*one) for one in budgets.openai_budgets(connection, organization.name))]


def _openais(amount: Decimal, is_hard: bool) -> Budget:
    if is_hard:
        return Budget(amount_usd=amount, name="OpenAI's spend limit")
    return Budget(amount_usd=amount, name=f"OpenAI's spend alert of {dollars(amount)}", alert_at=(_ALL,))


def evaluate_budgets(
    connection: Connection,
    organization: Organization,
    days: Collection[dt.date],
    now: dt.datetime,
    *,
    allocated: bool,
    alert_since: dt.date,
) -> dict[dt.date, list[BudgetDay]]:
    """Keeps how budgets stand in all periods that `days` lie in and records crossings; each day's budgets.

    What was crossed before `alert_since` is recorded as seen; where a period is looked at for the first time, also what
    was crossed on none of `days`.
    """
    told: dict[dt.date, list[BudgetDay]] = {day: [] for day in days}
    name = organization.name
    known = known_days(connection, name)
    if known is None or not days:
        return told
    with connection.transaction():
        outbox.lock(connection, name)
        configured = _all(connection, organization)
        budgets.delete_unconfigured(connection, name, [one.title for one in configured])
        for budget in _of(configured, allocated=allocated):
            for period in rules.periods_of(days, budget.period):
                spend = _spend(connection, name, budget.scope, period)
                status = rules.budget_status(spend, period, known)
                crossed = rules.crossings(spend, status, budget.amount_usd, budget.alert_at)
                is_watched = budgets.was_evaluated(connection, name, budget.title, period.first, budget.amount_usd)
                budgets.store_states(connection, name, [_state(budget, status)], now)
                for crossing in crossed:
                    is_news = crossing.day >= alert_since and (is_watched or crossing.day in days)
                    _record(connection, _Crossed(organization, budget, status, crossing), now, acknowledged=not is_news)
                for day, of_day in _by_day(budget, spend, status, crossed, days):
                    told[day].append(of_day)
    return told


def _by_day(
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
            shares = tuple(one.share for one in crossed if one.day == day and not one.is_forecast)
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
class _Crossed:
    """A crossing with all that is to be said of it."""

    organization: Organization
    budget: Budget
    status: BudgetStatus
    crossing: Crossing

    def key(self, event: str) -> str:
        """What is told once; amounts by their value, however they are written."""
        limit, share = (f"{money.normalised(one):f}" for one in (self.budget.amount_usd, self.crossing.share))
        first_day = str(self.status.period.first)
        return outbox.dedup_key("budget", self.organization.name, self.budget.title, first_day, limit, share, event)


def _record(connection: Connection, crossed: _Crossed, now: dt.datetime, *, acknowledged: bool) -> None:
    """A share that was crossed once is not told as one that may be: a credit had taken it back."""
    if crossed.crossing.is_forecast and outbox.is_recorded(connection, crossed.key(_CROSSED)):
        return
    outbox.record(connection, _alert(crossed), now, acknowledged=acknowledged)


def _alert(crossed: _Crossed) -> outbox.Alert:
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
        message=_sentence(budget, status, crossing, share, limit),
        organization=organization.name,
        project_id=scope_id if scope == "project" else None,
        usage_date=crossing.day,
        facts=_facts(status, limit),
        page=asset_paths.check_page(_asset(organization, scope), asset_paths.BUDGETS, crossing.day),
    )


def _sentence(budget: Budget, status: BudgetStatus, crossing: Crossing, share: str, limit: str) -> str:
    if crossing.is_forecast and status.forecast:
        expected = dollars(status.forecast.expected)
        return (
            f"{expected} of spend is forecast by {status.period.last}, over {share} of the {_named(budget)}, {limit}."
        )
    return f"On {crossing.day} spend reached {share} of the {_named(budget)}, {limit}."


def _named(budget: Budget) -> str:
    """As in ``monthly budget of project proj_search``."""
    scope, scope_id = budget.scope
    what = scope.replace("api_key", "API key")
    if budget.name:
        return f"{budget.period}ly budget {budget.name}"
    return f"{budget.period}ly budget of {f'{what} {scope_id}' if scope_id else 'the organization'}"


def _facts(status: BudgetStatus, limit: str) -> list[tuple[str, str]]:
    facts = [("Budget", limit), ("Spent", f"{dollars(status.spent)} through {status.known_to}")]
    if status.forecast:
        expected, low, high = status.forecast
        facts.append((f"Forecast for {status.period.last}", f"{dollars(expected)} ({dollars(low)} to {dollars(high)})"))
    return facts


def _severity(crossing: Crossing) -> str:
    if crossing.share >= _ALL:
        return "medium" if crossing.is_forecast else "high"
    return "low" if crossing.is_forecast or crossing.share < Decimal("0.8") else "medium"


def _asset(organization: Organization, scope: str) -> list[str]:
    return (
        asset_paths.allocated_costs_path(organization) if scope in ALLOCATED else asset_paths.costs_path(organization)
    )
