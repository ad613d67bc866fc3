"""What a spend report says, before it is a page. Days are UTC, money US dollars unless a currency is named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from openai_costs_dagster.report.cube import Cube
from openai_costs_dagster.warehouse.report_queries import KnownName, MonthOfModel, OtherMoney, Restatement


@dataclass(frozen=True)
class OrganizationStatus:
    """How far an organization is read, and where its month stands."""

    organization: str
    title: str
    first_day: dt.date | None
    last_day: dt.date | None
    settled_to: dt.date | None
    missing_days: int
    last_success_at: dt.datetime | None
    last_error: str | None
    grouping: str
    month_to_date: Decimal
    forecast: Decimal | None
    forecast_low: Decimal | None
    forecast_high: Decimal | None
    needs: Sequence[str]
    dagster_path: str
    """The path of its costs in Dagster."""
    forecast_as_of: dt.date | None = None
    """The last day that was read after its end, at whose end the forecast was made."""
    month_in_other_currencies: Sequence[str] = ()
    """The month to date in each other currency, for people; never added to dollars."""
    open_anomalies: int = 0
    """Of the last 30 days, worth someone's time and not answered."""


@dataclass(frozen=True)
class BudgetStatus:
    """A budget in its present period; `share` is what was spent of it, 1 being all."""

    organization: str
    budget: str
    period_start: dt.date
    period_end: dt.date
    scope: str
    scope_id: str | None
    limit: Decimal
    spent: Decimal
    share: Decimal | None
    forecast: Decimal | None
    forecast_low: Decimal | None
    forecast_high: Decimal | None


@dataclass(frozen=True)
class AnomalyEntry:
    """A finding. What is among `dimensions` and null is spend that belongs to none."""

    organization: str
    day: dt.date
    level: str
    dimensions: Sequence[str]
    """Those that name its series."""
    project: str | None
    service: str | None
    model: str | None
    key: str | None
    user: str | None
    actual: Decimal
    expected: Decimal
    lower: Decimal
    upper: Decimal
    impact: Decimal
    severity: str
    explanation: str
    feedback: str | None
    is_open: bool
    """Not answered yet."""
    dagster_path: str
    """The path of its check in Dagster."""
    has_daily_range: bool = True
    """Whether its amounts and range are those of its day; otherwise they are sums over several days."""


@dataclass(frozen=True)
class Mover:
    """A model of a project in two ranges of days; volume, price, mix and what has no quantity make up the change."""

    organization: str
    project: str | None
    model: str | None
    amount: Decimal
    earlier_amount: Decimal
    change: Decimal
    volume: Decimal
    price: Decimal
    mix: Decimal
    unmeasured: Decimal
    volume_ratio: Decimal | None
    price_ratio: Decimal | None
    unit: str | None


@dataclass(frozen=True)
class Comparison:
    """Two ranges of settled days side by side, both ends included."""

    name: str
    first: dt.date
    last: dt.date
    earlier_first: dt.date
    earlier_last: dt.date
    movers: Sequence[Mover]
    excluded_organizations: Sequence[str]
    """Organizations whose history does not reach back so far."""


@dataclass(frozen=True)
class SpendReport:
    """Everything on the page."""

    generated_at: dt.datetime
    first_day: dt.date
    last_day: dt.date
    is_simulated: bool
    dagster_url: str | None
    organizations: Sequence[OrganizationStatus]
    cube: Cube
    names: Sequence[KnownName] = ()
    provisional: dict[str, Sequence[dt.date]] = field(default_factory=dict)
    """By organization, the days that OpenAI may still change."""
    missing: dict[str, Sequence[dt.date]] = field(default_factory=dict)
    """By organization, the days of its history that are not stored; today is none of them."""
    budgets: Sequence[BudgetStatus] = ()
    anomalies: Sequence[AnomalyEntry] = ()
    comparisons: Sequence[Comparison] = ()
    unit_costs: Sequence[MonthOfModel] = ()
    restatements: Sequence[Restatement] = ()
    other_currencies: Sequence[OtherMoney] = ()
