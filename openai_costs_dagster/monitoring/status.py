"""Collects the data of `openai-costs status`: stored days, month to date, budgets and required actions.

`cli/status.py` prints the data.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.days import ONE_DAY, DayRange, first_recent_day
from openai_costs_dagster.monitoring import budgets as monitoring_budgets
from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.budgets import BudgetStatus, KnownDays
from openai_costs_dagster.spend.money import dollars
from openai_costs_dagster.sync.history_start import first_served_day, start_of
from openai_costs_dagster.sync.missing_endpoints import MissingEndpoints
from openai_costs_dagster.warehouse import allocations, anomalies, coverage, organizations, outbox
from openai_costs_dagster.warehouse.budgets import BudgetState
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.focus import snapshot

# Most failed deliveries succeed within minutes. Only those that have been retried for longer than this are reported.
_DELIVERY_GRACE = dt.timedelta(minutes=15)


@dataclass(frozen=True)
class Overview:
    """The status of one organization.

    All days are UTC days, and all amounts are in US dollars unless stated otherwise.
    """

    organization: str
    title: str
    last_day: dt.date | None = None
    last_settled_day: dt.date | None = None
    """The day up to which all stored days are settled, so that OpenAI is no longer expected to change the costs."""
    missing_ranges: list[DayRange] = field(default_factory=list)
    """The days of the history, except the current day, that are not stored."""
    groupings: list[coverage.GroupedDays] = field(default_factory=list)
    """The dimensions by which OpenAI grouped the stored days, as ranges of days from the oldest on."""
    month_to_date: Decimal = Decimal(0)
    month_to_date_other_currencies: dict[str | None, Decimal] = field(default_factory=dict)
    """The spend of the month to date in each currency other than US dollars, which `month_to_date` does not include."""
    other_currencies: dict[str | None, Decimal] = field(default_factory=dict)
    """The spend in each currency other than US dollars since the day `other_currencies_since`."""
    other_currencies_since: dt.date | None = None
    forecast: Decimal | None = None
    """The forecast of the whole month's spend, computed from the days up to `forecast_as_of`."""
    forecast_as_of: dt.date | None = None
    """The newest day that was read after its end."""
    forecast_low: Decimal | None = None
    """The lower end of the 80 % interval around the forecast."""
    forecast_high: Decimal | None = None
    """The upper end of the 80 % interval around the forecast."""
    open_anomalies: list[anomalies.StoredFinding] = field(default_factory=list)
    """The findings of the last `RECENT_DAYS` days that are large enough for an alert, not muted and without feedback.
    """
    allocated_to_users_percent: float | None = None
    """The percentage of the spend in the last `RECENT_DAYS` days that is allocated to users, or None without allocated
    costs.
    """
    allocated_to_keys_percent: float | None = None
    """The percentage of the spend in the last `RECENT_DAYS` days that is allocated to API keys, or None without
    allocated costs.
    """
    budgets: list[BudgetState] = field(default_factory=list)
    """The state of each budget in the current period."""
    missing_endpoints: list[str] = field(default_factory=list)
    """The usage endpoints of the API that the server does not provide, so that their usage is not stored."""
    last_success_at: dt.datetime | None = None
    last_error: str | None = None
    required_actions: list[str] = field(default_factory=list)
    """Problems that a person has to solve, one sentence each."""

    @property
    def missing_days(self) -> int:
        """The number of days of the history, except the current day, that are not stored."""
        return sum(map(len, self.missing_ranges))


def overviews(configuration: Configuration, database: Database, now: dt.datetime) -> list[Overview]:
    """Return the status of every configured organization, sorted by name.

    All figures are read in one database snapshot, so that they agree. Raises `WarehouseError` if the database cannot be
    read.
    """
    with database.connect() as connection, snapshot(connection):
        return overviews_of(connection, configuration, now)


def overviews_of(connection: Connection, configuration: Configuration, now: dt.datetime) -> list[Overview]:
    """Return the status of every configured organization, sorted by name.

    Like `overviews`, but the caller has opened the snapshot on `connection`.
    """
    known = {stored.organization: stored for stored in organizations.all_organizations(connection)}
    synced = {status.organization: status for status in coverage.sync_status(connection)}
    return [
        _overview(connection, organization, known.get(name), synced.get(name), now)
        for name, organization in sorted(configuration.organizations.items())
    ]


def _overview(
    connection: Connection,
    organization: Organization,
    known: organizations.StoredOrganization | None,
    synced: coverage.SyncStatus | None,
    now: dt.datetime,
) -> Overview:
    today = now.date()
    if known is None or synced is None:
        needs = [
            *_key_problems(organization),
            "never synchronized: run openai-costs backfill, or keep openai-costs up running",
        ]
        return Overview(organization.name, organization.title, required_actions=needs)
    days = DayRange(min(start_of(organization, known, today), today), today)
    # The current day does not count as missing, because its refreshes may still follow.
    finished = days.intersection(None, today - ONE_DAY)
    missing = DayRange.covering(coverage.missing_days(connection, organization.name, finished)) if finished else []
    shared = allocations.allocation_coverage(connection, organization.name, DayRange(first_recent_day(today), today))
    spend = _spend_status(connection, organization, today)
    forecast = spend.month.forecast if spend.month else None
    month_first = today.replace(day=1)
    # One query serves two figures, the month to date and the recent days, so it begins at the earlier of their first
    # days.
    since = min(month_first, first_recent_day(today))
    other = coverage.other_currencies(connection, organization.name, DayRange(since, today))
    return Overview(
        organization.name,
        organization.title,
        last_day=synced.last_day,
        last_settled_day=synced.settled_to,
        missing_ranges=missing,
        groupings=coverage.stored_groupings(connection, organization.name),
        month_to_date=spend.month.spent if spend.month else Decimal(0),
        month_to_date_other_currencies=_by_currency(billed for billed in other if billed.usage_date >= month_first),
        other_currencies=_by_currency(other),
        other_currencies_since=since,
        forecast=forecast.expected if forecast else None,
        forecast_low=forecast.low if forecast else None,
        forecast_high=forecast.high if forecast else None,
        forecast_as_of=spend.known.complete_to if spend.known else None,
        open_anomalies=_open_anomalies(connection, organization.name, today),
        allocated_to_users_percent=_percent(shared.to_users_usd, shared.gross_usd),
        allocated_to_keys_percent=_percent(shared.to_keys_usd, shared.gross_usd),
        budgets=spend.budgets,
        missing_endpoints=sorted(
            path.split("/", 2)[2] for path in MissingEndpoints(connection, organization, now).known()
        ),
        last_success_at=synced.last_success_at,
        last_error=synced.last_error,
        required_actions=[
            *_key_problems(organization),
            *_sync_problems(synced, missing, first_served_day(known, today), today),
            *_reconciliation_problems(connection, organization),
        ],
    )


def _percent(part: Decimal | None, whole: Decimal | None) -> float | None:
    return round(float(100 * part / whole), 1) if whole and part is not None else None


@dataclass(frozen=True)
class _SpendStatus:
    """The spend of the current month and the budgets of an organization. All fields are empty if no day is stored."""

    known: KnownDays | None = None
    month: BudgetStatus | None = None
    budgets: list[BudgetState] = field(default_factory=list)


def _spend_status(connection: Connection, organization: Organization, today: dt.date) -> _SpendStatus:
    known = monitoring_budgets.known_days(connection, organization.name)
    if known is None:
        return _SpendStatus()
    return _SpendStatus(
        known,
        monitoring_budgets.month_status(connection, organization.name, today, known),
        monitoring_budgets.current_states(connection, organization, today, known),
    )


def _by_currency(billed: Iterable[coverage.OtherCurrency]) -> dict[str | None, Decimal]:
    """Return the exact sum of the amounts of each currency."""
    totals: dict[str | None, Decimal] = {}
    for cost in billed:
        totals[cost.currency] = money.add(totals.get(cost.currency, Decimal(0)), money.normalised(cost.amount))
    return totals


def _open_anomalies(connection: Connection, name: str, today: dt.date) -> list[anomalies.StoredFinding]:
    return anomalies.findings(connection, name, first=first_recent_day(today), only_open=True)


def _key_problems(organization: Organization) -> list[str]:
    try:
        # Reading the key shows whether its environment variable or file is missing. No request is sent to OpenAI.
        organization.admin_key.read()
    except SecretUnavailable as error:
        return [f"the admin key cannot be read: {error}"]
    return []


def _sync_problems(
    synced: coverage.SyncStatus, missing: list[DayRange], first_served: dt.date, today: dt.date
) -> list[str]:
    problems = []
    if synced.last_error:
        kind = "needs a person" if synced.last_error_is_permanent else "is retried by the next refresh"
        problems.append(f"the last sync failed and {kind}: {synced.last_error}")
    readable = [part for days in missing if (part := days.intersection(first_served, None))]
    lost = [part for days in missing if (part := days.intersection(None, first_served - ONE_DAY))]
    if lost:
        problems.append(
            f"days are missing that OpenAI no longer serves: {', '.join(map(str, lost))}; "
            f"to accept the gap, set start_date to {lost[-1].last + ONE_DAY} or later"
        )
    if readable:
        problems.append(f"days are missing: {', '.join(map(str, readable))}")
    # If days are missing, the message above already lists the newest of them.
    elif synced.last_day is None or synced.last_day < today - ONE_DAY:
        problems.append(f"nothing newer than {synced.last_day} is stored: is openai-costs up running?")
    return problems


def _reconciliation_problems(connection: Connection, organization: Organization) -> list[str]:
    days = coverage.unreconciled_days(connection, organization.name)
    if not days:
        return []
    ranges = ", ".join(map(str, DayRange.covering(days)))
    return [f"rows do not add up to the total that the API bills on {ranges}: see the check reconciles"]


def describe_budget(state: BudgetState) -> str:
    """Return one line about a budget, as in ``organization, month: $1,350.00 of $4,000.00 (34 %)``."""
    share = f" ({state.spent / state.amount_limit:.0%})".replace("%", " %") if state.amount_limit else ""
    spent = f"{state.budget}: {dollars(state.spent)} of {dollars(state.amount_limit)}{share}"
    if state.forecast is None or state.forecast_low is None or state.forecast_high is None:
        return spent
    interval = f"{dollars(state.forecast_low)} to {dollars(state.forecast_high)}"
    return f"{spent}, {dollars(state.forecast)} forecast by {state.period_end} ({interval})"


def delivery_problems(database: Database, now: dt.datetime) -> list[str]:
    """Return a message for each channel whose alerts are not delivered.

    Raises `WarehouseError` if the database cannot be read.
    """
    with database.connect() as connection:
        states = outbox.delivery_states(connection)
    problems = []
    for state in states:
        if state.dead:
            given_up = f"{state.dead} messages were given up ({state.last_error})"
            problems.append(f"{state.channel}: {given_up}: openai-costs alerts retry")
        if state.waiting_since and now - state.waiting_since > _DELIVERY_GRACE:
            since = f"{state.waiting_since:%Y-%m-%d %H:%M} UTC"
            problems.append(
                f"{state.channel}: {state.waiting} messages have been waiting since {since}: {state.last_error}"
            )
    return problems
