"""The data of a spend report, independent of its page.

Days are UTC days. Amounts are US dollars unless a currency is given. The page's JavaScript declares the same fields in
page_parts/report.d.ts; a test compares both.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from openai_costs_dagster.records import Severity
from openai_costs_dagster.report.cube import Cube
from openai_costs_dagster.warehouse.report_queries import CurrentName, MonthlyUnitCost, OtherCurrencyAmount, Restatement


@dataclass(frozen=True)
class OrganizationStatus:
    """Freshness, month to date and forecast of an organization."""

    organization: str
    title: str
    first_day: dt.date | None
    last_day: dt.date | None
    last_settled_day: dt.date | None
    missing_days: int
    last_success_at: dt.datetime | None
    last_error: str | None
    grouping: str
    """Dimensions by which OpenAI currently returns the costs, such as `project,user,line_item,api_key`."""
    month_to_date: Decimal
    forecast: Decimal | None
    forecast_low: Decimal | None
    forecast_high: Decimal | None
    required_actions: Sequence[str]
    """Problems that require a person's action, one sentence each."""
    dagster_path: str
    """Path of the costs asset in Dagster's UI."""
    forecast_as_of: dt.date | None = None
    """Last complete day that the forecast is based on."""
    month_in_other_currencies: Sequence[str] = ()
    """The month to date in each currency other than US dollars, as text. No amount in US dollars includes it."""
    open_anomalies: int = 0
    """Number of anomalies of the last 30 days that are worth an alert and have no feedback."""


@dataclass(frozen=True)
class BudgetStatus:
    """A budget in its current period."""

    organization: str
    budget: str
    period_start: dt.date
    period_end: dt.date
    scope: str
    scope_id: str | None
    limit: Decimal
    spent: Decimal
    share: Decimal | None
    """Spend divided by the limit: 1 means that the budget is used up. None if the limit is 0."""
    forecast: Decimal | None
    forecast_low: Decimal | None
    forecast_high: Decimal | None


@dataclass(frozen=True)
class AnomalyEntry:
    """An anomaly finding of one series on one day.

    A field that `dimensions` lists and whose value is None means spend without such a value, such as spend without a
    project.
    """

    organization: str
    day: dt.date
    level: str
    dimensions: Sequence[str]
    """Names of the fields that identify the series of the finding."""
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
    severity: Severity
    explanation: str
    feedback: str | None
    is_open: bool
    """Whether the finding has no feedback yet."""
    dagster_path: str
    """Path of the check in Dagster's UI."""
    has_daily_range: bool = True
    """Whether amounts and range belong to the single day. Otherwise they are sums over several days."""


@dataclass(frozen=True)
class Mover:
    """Spend of a model in a project in two ranges of days.

    `volume`, `price`, `mix` and `unmeasured` add up to `change`.
    """

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
    """Change of line items without a quantity."""
    volume_ratio: Decimal | None
    price_ratio: Decimal | None
    unit: str | None


@dataclass(frozen=True)
class Comparison:
    """Comparison of two ranges of settled days. Both ends of a range are included."""

    name: str
    first: dt.date
    last: dt.date
    earlier_first: dt.date
    earlier_last: dt.date
    movers: Sequence[Mover]
    excluded_organizations: Sequence[str]
    """Organizations whose stored history begins after the first day of the earlier range."""


@dataclass(frozen=True)
class SpendReport:
    """All data on the page."""

    generated_at: dt.datetime
    first_day: dt.date
    last_day: dt.date
    is_simulated: bool
    dagster_url: str | None
    organizations: Sequence[OrganizationStatus]
    cube: Cube
    names: Sequence[CurrentName] = ()
    provisional: dict[str, Sequence[dt.date]] = field(default_factory=dict)
    """Days that OpenAI may still change, by organization."""
    missing: dict[str, Sequence[dt.date]] = field(default_factory=dict)
    """Days that are not stored, by organization. Excludes the current day."""
    budgets: Sequence[BudgetStatus] = ()
    anomalies: Sequence[AnomalyEntry] = ()
    comparisons: Sequence[Comparison] = ()
    unit_costs: Sequence[MonthlyUnitCost] = ()
    restatements: Sequence[Restatement] = ()
    other_currencies: Sequence[OtherCurrencyAmount] = ()
