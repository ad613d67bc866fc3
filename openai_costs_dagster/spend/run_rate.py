"""The plainest forecast: the month so far, and the average of the last four weeks for each day that is left."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Mapping
from decimal import Decimal

from openai_costs_dagster.days import ONE_DAY

_WEEKS = dt.timedelta(weeks=4)


def month_end(history: Mapping[dt.date, Decimal], today: dt.date) -> Decimal | None:
    """What the current UTC month will have cost in US dollars, to the cent; None without a finished day.

    `today` is unfinished: it counts with the average or with what it has cost already, whichever is more.
    """
    recent = [amount for day, amount in history.items() if today - _WEEKS <= day < today]
    if not recent:
        return None
    average = sum(recent, Decimal(0)) / len(recent)
    first = today.replace(day=1)
    last = first + (calendar.monthrange(today.year, today.month)[1] - 1) * ONE_DAY
    so_far = sum((amount for day, amount in history.items() if first <= day < today), Decimal(0))
    left = max(average, history.get(today, Decimal(0))) + average * (last - today).days
    return round(so_far + left, 2)
