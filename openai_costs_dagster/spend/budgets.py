"""Budgets: calendar periods in UTC days, the spend and forecast of a period, and the thresholds that were crossed."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.forecast import Forecast, forecast_period

Period = Literal["month", "quarter", "year"]
_MONTHS: dict[Period, int] = {"month": 1, "quarter": 3, "year": 12}

_AVERAGED_DAYS = 28  # days before an incomplete day whose average replaces the incomplete amount: four whole weeks

HISTORY = dt.timedelta(days=400)
"""The length of the history before a period that its forecast is made from."""


class KnownDays(NamedTuple):
    """The UTC days up to which an organization's spend is stored and complete."""

    last_day: dt.date
    """The newest stored day. The day may be unfinished; the amount so far counts as spent."""
    complete_to: dt.date | None
    """The newest day that was read after its end. Forecasts start from the end of this day. None without such a day."""
    incomplete: Collection[dt.date] = frozenset()
    """Days up to `complete_to` that are missing or were read before their end."""


class BudgetStatus(NamedTuple):
    """The spend and the forecast of a budget in one period, in US dollars."""

    period: DayRange
    spent: Decimal
    forecast: Forecast | None
    known_to: dt.date | None
    """The last day whose cost is counted in `spent`; None if no day of the period is stored."""


class Crossing(NamedTuple):
    """A threshold of a budget that spend has reached, or is forecast to reach by the end of the period."""

    share: Decimal
    """The threshold as a share of the budget; 1 is the whole budget."""
    day: dt.date
    """The UTC day on which spend reached the threshold.

    For a forecast crossing, the last day of data in the forecast.
    """
    is_forecast: bool


def period_of(day: dt.date, period: Period) -> DayRange:
    """Return the calendar month, quarter or year that contains a UTC day."""
    months = _MONTHS[period]
    first_month = (day.month - 1) // months * months + 1
    last_month = first_month + months - 1
    last = dt.date(day.year, last_month, calendar.monthrange(day.year, last_month)[1])
    return DayRange(dt.date(day.year, first_month, 1), last)


def periods_of(days: Iterable[dt.date], period: Period) -> list[DayRange]:
    """Return the periods that contain any of the days, oldest first."""
    return sorted({period_of(day, period) for day in days})


def budget_status(spend: Mapping[dt.date, Decimal], period: DayRange, known: KnownDays) -> BudgetStatus:
    """Return the spend and the forecast of a period.

    `spend` holds US dollars by UTC day, from `HISTORY` before the period on. Every stored day counts with its amount
    so far. The forecast starts from the end of `known.complete_to` and is never below the spend. Incomplete days are
    filled with the average of the four weeks before.
    """
    last = min(known.last_day, period.last)
    spent = money.total(amount for day, amount in spend.items() if period.first <= day <= last)
    forecast = None
    if known.complete_to:
        filled = _fill_incomplete_days(spend, known.incomplete)
        forecast = forecast_period(filled, period.first, period.last, min(last, known.complete_to))
    if forecast and known.complete_to and last > known.complete_to:
        # The forecast does not include the unfinished day, which may already cost more than the forecast expects.
        forecast = Forecast(*(max(amount, spent) for amount in forecast))
    return BudgetStatus(period, spent, forecast, last if last >= period.first else None)


def crossings(
    spend: Mapping[dt.date, Decimal], status: BudgetStatus, limit: Decimal, shares: Sequence[Decimal]
) -> list[Crossing]:
    """Return the thresholds that spend has reached, each with its day, and those that the forecast reaches."""
    found = []
    for share in sorted(set(shares)):
        day = _day_reached(spend, status, share * limit)
        if day is not None:
            found.append(Crossing(share, day, is_forecast=False))
        elif status.known_to and status.known_to < status.period.last and _is_forecast_to_reach(status, share * limit):
            found.append(Crossing(share, status.known_to, is_forecast=True))
    return found


def _fill_incomplete_days(
    spend: Mapping[dt.date, Decimal], incomplete: Collection[dt.date]
) -> Mapping[dt.date, Decimal]:
    """Return spend in which each incomplete day has at least the average of the four weeks before the day.

    The amount of an incomplete day so far is kept if it is larger than the average.
    """
    filled = dict(spend)
    for day in sorted(incomplete):
        before = [day - number * ONE_DAY for number in range(1, _AVERAGED_DAYS + 1)]
        amounts = [spend.get(earlier, Decimal(0)) for earlier in before if earlier not in incomplete]
        if amounts and spend:
            filled[day] = max(money.total(amounts) / len(amounts), spend.get(day, Decimal(0)))
    return filled


def _is_forecast_to_reach(status: BudgetStatus, amount: Decimal) -> bool:
    # A budget of zero is not forecast to be crossed while nothing is expected to be spent.
    return status.forecast is not None and status.forecast.expected >= amount and status.forecast.expected > 0


def _day_reached(spend: Mapping[dt.date, Decimal], status: BudgetStatus, amount: Decimal) -> dt.date | None:
    """Return the first day from which the period's spend stays at or above an amount, or None if there is none."""
    if status.known_to is None or status.spent < amount or status.spent <= 0:
        return None
    so_far, reached = Decimal(0), None
    for day in DayRange(status.period.first, status.known_to):
        so_far = money.add(so_far, spend.get(day, Decimal(0)))
        if so_far < amount or so_far <= 0:
            reached = None
        elif reached is None:
            reached = day
    return reached
