"""Decides when a day stops being provisional, that is, when OpenAI is no longer expected to change it."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.days import ONE_DAY, utc_midnight


def is_provisional(day: dt.date, started_at: dt.datetime, settle_hours: int) -> bool:
    """Return whether a UTC day is provisional if the requests for it started at `started_at`.

    A day is settled if the requests started at least `settle_hours` after its end. Later changes of a settled day are
    stored as revisions, while a provisional day is replaced without a record. `settle_hours` is the setting
    `refresh.settle_hours`.
    """
    return started_at < utc_midnight(day + ONE_DAY) + dt.timedelta(hours=settle_hours)
