"""Where an organization's history begins: asked once, on first contact, and kept for ever."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.costs import OrganizationGuard, read_costs
from openai_costs_dagster.cost_records import UNGROUPED
from openai_costs_dagster.days import DayRange

YEAR = dt.timedelta(days=365)
_SURELY_SERVED = dt.timedelta(days=360)
_SURELY_REFUSED = dt.timedelta(days=400)


def fallback_start(today: dt.date) -> dt.date:
    """Where partitions begin as long as nothing else is known: a year back, which is what the API keeps."""
    return today - YEAR


def earliest_day(api: AdminApi, start_date: dt.date | None, today: dt.date) -> dt.date | None:
    """The earliest day that the API serves; None where the configured start lies well within the year.

    One request, for a day too old: its refusal names the date. A server without such a limit begins a year back.
    Raises an `ApiError`.
    """
    if start_date and start_date >= today - _SURELY_SERVED:
        return None
    ancient = today - _SURELY_REFUSED
    try:
        for _ in read_costs(api, DayRange(ancient, ancient), UNGROUPED, OrganizationGuard(None)):
            pass
    except errors.LookbackExceeded as refusal:
        return refusal.earliest
    return fallback_start(today)
