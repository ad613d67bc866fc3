"""The data of a spend report, independent of its layout as a page.

All days are UTC days. Amounts are in US dollars unless a field names another currency. The page's JavaScript declares
the same fields in page_parts/report.d.ts, and a test compares the two declarations.
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
    """The stored days, the month to date and the forecast of an organization."""

    organization: str
    title: str
    first_day: dt.date | None
    last_day: dt.date | None
    last_settled_day: dt.date | None
    missing_days: int
    last_success_at: dt.datetime | None
    last_error: str | None
    grouping: str
    """The dimensions by which OpenAI currently groups the costs, such as `project,user,line_item,api_key`."""
    month_to_date: Decimal
    forecast: Decimal | None
    forecast_low: Decimal | None
    forecast_high: Decimal | None
    required_actions: Sequence[str]
    """The problems that a person has to solve, one sentence each."""
    dagster_path: str
    """The path of the page of the costs asset in Dagster's UI."""
    forecast_as_of: dt.date | None = None
    """The newest day that the forecast uses, which was read after its end."""
    month_in_other_currencies: Sequence[str] = ()
    """The spend of the month to date in each currency other than US dollars, as text.

    Fields in US dollars do not include this spend.
    """
    open_anomalies: int = 0
    """The number of findings in the last 30 days that are large enough for an alert and have no feedback."""


@dataclass(frozen=True)
class BudgetStatus:
    """The state of a budget in its current period."""

    organization: str
    budget: str
    period_start: dt.date
    period_end: dt.date
    scope: str
    scope_id: str | None
    limit: Decimal
    spent: Decimal
    share: Decimal | None
    """The spend divided by the limit, where 1 means that the budget is used up. None if the limit is 0."""
    forecast: Decimal | None
    forecast_low: Decimal | None
    forecast_high: Decimal | None


@dataclass(frozen=True)
class AnomalyEntry:
    """A finding about one series on one day.

    A field such as `project` that is in `dimensions` and whose value is None means spend without a project.
    """

    organization: str
    day: dt.date
    level: str
    dimensions: Sequence[str]
    """The names of the fields that identify the series of the finding."""
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
    """Whether the finding has no feedback from a person yet."""
    dagster_path: str
    """The path of the page of the check in Dagster's UI."""
    has_daily_range: bool = True
    """Whether the amounts and the range belong to the single day, and are not sums over several days."""


@dataclass(frozen=True)
class Mover:
    """The spend of a model in a project in two ranges of days.

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
    """The change of the line items that have no quantity."""
    volume_ratio: Decimal | None
    price_ratio: Decimal | None
    unit: str | None


@dataclass(frozen=True)
class Comparison:
    """The comparison of two ranges of settled days. Each range includes its first and its last day."""

    name: str
    first: dt.date
    last: dt.date
    earlier_first: dt.date
    earlier_last: dt.date
    movers: Sequence[Mover]
    excluded_organizations: Sequence[str]
    """The organizations whose stored history begins after the first day of the earlier range.

    The comparison leaves these organizations out, because their spend would look like growth.
    """


@dataclass(frozen=True)
class SpendReport:
    """All data on the page of a spend report."""

    generated_at: dt.datetime
    first_day: dt.date
    last_day: dt.date
    is_simulated: bool
    dagster_url: str | None
    organizations: Sequence[OrganizationStatus]
    cube: Cube
    names: Sequence[CurrentName] = ()
    provisional: dict[str, Sequence[dt.date]] = field(default_factory=dict)
    """The days whose costs OpenAI may still change, by organization."""
    missing: dict[str, Sequence[dt.date]] = field(default_factory=dict)
    """The days that are not stored, by organization, without the current day."""
    budgets: Sequence[BudgetStatus] = ()
    anomalies: Sequence[AnomalyEntry] = ()
    comparisons: Sequence[Comparison] = ()
    unit_costs: Sequence[MonthlyUnitCost] = ()
    restatements: Sequence[Restatement] = ()
    other_currencies: Sequence[OtherCurrencyAmount] = ()
