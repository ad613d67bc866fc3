"""Decides whether a fetched day is provisional, that is, whether OpenAI may still change its costs or usage."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.days import ONE_DAY, utc_midnight


def is_provisional(day: dt.date, started_at: dt.datetime, settle_hours: int) -> bool:
    """Return whether a UTC day is provisional if the requests for the day started at `started_at`.

    A day is provisional if the requests started less than `settle_hours` after the end of the day, and settled
    otherwise. Later changes of a settled day are recorded as revisions, while changes of a provisional day are not
    recorded. `settle_hours` is the setting `refresh.settle_hours`.
    """
    return started_at < utc_midnight(day + ONE_DAY) + dt.timedelta(hours=settle_hours)
