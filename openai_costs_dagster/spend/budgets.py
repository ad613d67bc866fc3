"""Computes the state of budgets: periods in UTC days, the spend and forecast of a period, and reached thresholds."""

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

# The number of days before an incomplete day whose average replaces its spend. Four whole weeks contain each weekday
# equally often.
_AVERAGED_DAYS = 28

HISTORY = dt.timedelta(days=400)
"""The length of the history before a period that is used for the forecast of the period."""


class KnownDays(NamedTuple):
    """The UTC days for which an organization's spend is stored and complete."""

    last_day: dt.date
    """The newest stored day. If the day is not over, its spend so far counts."""
    complete_to: dt.date | None
    """The newest day that was read after its end, from which forecasts start. None if no such day is stored."""
    incomplete: Collection[dt.date] = frozenset()
    """Days up to `complete_to` that are missing, or that were read before their end."""


class BudgetStatus(NamedTuple):
    """The spend and the forecast of a budget in one period, in US dollars."""

    period: DayRange
    spent: Decimal
    forecast: Forecast | None
    known_to: dt.date | None
    """The newest day whose cost is part of `spent`, or None if no day of the period is stored."""


class Crossing(NamedTuple):
    """A threshold of a budget that spend has reached, or that the forecast reaches by the end of the period."""

    share: Decimal
    """The threshold as a share of the budget, where 1 is the whole budget."""
    day: dt.date
    """The UTC day on which spend reached the threshold.

    If only the forecast reaches the threshold, the field contains the newest day that the forecast uses.
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
    """Return the calendar periods that contain any of the days, oldest first."""
    return sorted({period_of(day, period) for day in days})


def budget_status(spend: Mapping[dt.date, Decimal], period: DayRange, known: KnownDays) -> BudgetStatus:
    """Return the spend and the forecast of a period.

    `spend` contains US dollars by UTC day, in the period and for `HISTORY` before it. Every stored day counts with its
    spend so far. The forecast starts after the day `known.complete_to` and is never below the spend. Each incomplete
    day counts in the forecast with at least the average of the four weeks before it.
    """
    last = min(known.last_day, period.last)
    spent = money.total(amount for day, amount in spend.items() if period.first <= day <= last)
    forecast = None
    if known.complete_to:
        filled = _fill_incomplete_days(spend, known.incomplete)
        forecast = forecast_period(filled, period.first, period.last, min(last, known.complete_to))
    if forecast and known.complete_to and last > known.complete_to:
        # The forecast leaves out the current day, which may already cost more than the forecast expects for the whole
        # period.
        forecast = Forecast(*(max(amount, spent) for amount in forecast))
    return BudgetStatus(period, spent, forecast, last if last >= period.first else None)


def crossings(
    spend: Mapping[dt.date, Decimal], status: BudgetStatus, limit: Decimal, shares: Sequence[Decimal]
) -> list[Crossing]:
    """Return the thresholds that spend has reached, each with its day, and the thresholds that only the forecast
    reaches.
    """
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
    """Return the spend by day, in which each incomplete day has at least the average of the four weeks before it.

    The spend of an incomplete day so far is kept if it is larger than this average.
    """
    filled = dict(spend)
    for day in sorted(incomplete):
        before = [day - number * ONE_DAY for number in range(1, _AVERAGED_DAYS + 1)]
        amounts = [spend.get(earlier, Decimal(0)) for earlier in before if earlier not in incomplete]
        if amounts and spend:
            filled[day] = max(money.total(amounts) / len(amounts), spend.get(day, Decimal(0)))
    return filled


def _is_forecast_to_reach(status: BudgetStatus, amount: Decimal) -> bool:
    # Every forecast reaches a limit of zero, so a forecast of no spend must be excluded.
    return status.forecast is not None and status.forecast.expected >= amount and status.forecast.expected > 0


def _day_reached(spend: Mapping[dt.date, Decimal], status: BudgetStatus, amount: Decimal) -> dt.date | None:
    """Return the first day after which the spend of the period never falls below an amount again, or None if it is
    below.

    A credit can lower the spend, so the first day above the amount may be too early.
    """
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
