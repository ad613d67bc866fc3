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


class Standing(NamedTuple):
    """A budget in one period, as far as days are known; US dollars."""

    period: DayRange
    spent: Decimal
    forecast: Forecast | None
    known_to: dt.date | None
    """The last day that counts, None where none of the period is known."""


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


def standing(
    spend: Mapping[dt.date, Decimal],
    period: DayRange,
    today: dt.date,
    known_to: dt.date,
    unknown: Collection[dt.date] = (),
) -> Standing:
    """How a budget stands, by spend from `HISTORY` before the period on; `today` is unfinished.

    What today cost so far counts as spent; the forecast is made at the end of yesterday and is at least what was
    spent. Days that are `unknown` are not spent, and forecast as the weeks before them.
    """
    last = min(known_to, period.last)
    spent = money.total(amount for day, amount in spend.items() if period.first <= day <= last)
    filled = _filled(spend, unknown)
    forecast = forecast_period(filled, period.first, period.last, min(last, today - ONE_DAY))
    if forecast and last >= today:
        forecast = Forecast(*(max(one, spent) for one in forecast))
    return Standing(period, spent, forecast, last if last >= period.first else None)


def crossings(
    spend: Mapping[dt.date, Decimal], at: Standing, limit: Decimal, shares: Sequence[Decimal]
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
    """Spend with unknown days at the average of the known ones of four weeks before."""
    filled = dict(spend)
    for day in sorted(unknown):
        before = [day - number * ONE_DAY for number in range(1, _WEEKS + 1)]
        known = [spend.get(one, Decimal(0)) for one in before if one not in unknown]
        if known and spend:
            filled[day] = money.total(known) / len(known)
    return filled


def _foreseen(at: Standing, amount: Decimal) -> bool:
    return at.forecast is not None and at.forecast.expected >= amount and at.forecast.expected > 0


def _reached(spend: Mapping[dt.date, Decimal], at: Standing, amount: Decimal) -> dt.date | None:
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
