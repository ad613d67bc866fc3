"""Budgets: their periods in UTC days, how they stand, and which shares of them were crossed when."""

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

_WEEKS = 28  # days

HISTORY = dt.timedelta(days=400)
"""How far before a period its forecast looks."""


class KnownDays(NamedTuple):
    """How far an organization's spend is known; UTC days."""

    last_day: dt.date
    """The newest stored day. It may be unfinished; what it cost so far counts as spent."""
    complete_to: dt.date | None
    """The last known day: the newest day that was read after its end, whatever it cost. Forecasts are made at its end.
    None where there is no such day."""
    incomplete: Collection[dt.date] = frozenset()
    """Earlier days that are missing or were not read after their end."""


class BudgetStatus(NamedTuple):
    """A budget in one period, as far as days are known; US dollars."""

    period: DayRange
    spent: Decimal
    forecast: Forecast | None
    known_to: dt.date | None
    """The last day whose cost counts as spent, None where none of the period is known."""


class Crossing(NamedTuple):
    """A share of a budget that was reached, or will be by the period's end as it looks."""

    share: Decimal
    day: dt.date
    """The day on which it was reached, or the last known one of a forecast."""
    is_forecast: bool


def period_of(day: dt.date, period: Period) -> DayRange:
    """The calendar month, quarter or year that a UTC day lies in."""
    months = _MONTHS[period]
    first_month = (day.month - 1) // months * months + 1
    last_month = first_month + months - 1
    last = dt.date(day.year, last_month, calendar.monthrange(day.year, last_month)[1])
    return DayRange(dt.date(day.year, first_month, 1), last)


def periods_of(days: Iterable[dt.date], period: Period) -> list[DayRange]:
    """The periods that some days lie in, oldest first."""
    return sorted({period_of(day, period) for day in days})


def budget_status(spend: Mapping[dt.date, Decimal], period: DayRange, known: KnownDays) -> BudgetStatus:
    """How a budget stands, by spend from `HISTORY` before the period on.

    Every stored day counts as spent with what it cost so far. The forecast is made at the end of the last known day
    and is at least what was spent. Incomplete days are forecast as the weeks before them.
    """
    last = min(known.last_day, period.last)
    spent = money.total(amount for day, amount in spend.items() if period.first <= day <= last)
    forecast = None
    if known.complete_to:
        filled = _filled(spend, known.incomplete)
        forecast = forecast_period(filled, period.first, period.last, min(last, known.complete_to))
    if forecast and known.complete_to and last > known.complete_to:
        forecast = Forecast(*(max(one, spent) for one in forecast))
    return BudgetStatus(period, spent, forecast, last if last >= period.first else None)


def crossings(
    spend: Mapping[dt.date, Decimal], at: BudgetStatus, limit: Decimal, shares: Sequence[Decimal]
) -> list[Crossing]:
    """The shares that were reached, each with its first day, and those that the forecast reaches."""
    found = []
    for share in sorted(set(shares)):
        day = _reached(spend, at, share * limit)
        if day is not None:
            found.append(Crossing(share, day, is_forecast=False))
        elif at.known_to and at.known_to < at.period.last and _foreseen(at, share * limit):
            found.append(Crossing(share, at.known_to, is_forecast=True))
    return found


def _filled(spend: Mapping[dt.date, Decimal], unknown: Collection[dt.date]) -> Mapping[dt.date, Decimal]:
    """Spend with incomplete days at the average of the complete ones of four weeks before, or what they cost so far."""
    filled = dict(spend)
    for day in sorted(unknown):
        before = [day - number * ONE_DAY for number in range(1, _WEEKS + 1)]
        known = [spend.get(one, Decimal(0)) for one in before if one not in unknown]
        if known and spend:
            filled[day] = max(money.total(known) / len(known), spend.get(day, Decimal(0)))
    return filled


def _foreseen(at: BudgetStatus, amount: Decimal) -> bool:
    return at.forecast is not None and at.forecast.expected >= amount and at.forecast.expected > 0


def _reached(spend: Mapping[dt.date, Decimal], at: BudgetStatus, amount: Decimal) -> dt.date | None:
    """The day on which the period's spend reached an amount and did not fall below it again."""
    if at.known_to is None or at.spent < amount or at.spent <= 0:
        return None
    so_far, reached = Decimal(0), None
    for day in DayRange(at.period.first, at.known_to):
        so_far = money.add(so_far, spend.get(day, Decimal(0)))
        if so_far < amount or so_far <= 0:
            reached = None
        elif reached is None:
            reached = day
    return reached
