"""Reads one chain of pages: one query over a range of days, whole or an error.

Rules and their sources: docs/openai-api.md. `limit` counts days; a token is bound to its exact query; pages past the
last day may go on for ever, so the last day ends a chain.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.response_types import WirePage
from openai_costs_dagster.api.unicode_repair import as_utf8
from openai_costs_dagster.days import ONE_DAY, DayRange, day_of_unix_midnight, unix_midnight

_DAY_SECONDS = 86_400


def read_days(
    api: AdminApi, path: str, days: DayRange, *, group_by: Sequence[str], days_per_page: int
) -> Iterator[tuple[dt.date, bytes]]:
    """Yields the bytes of one bucket for every day of `days`, in order; the caller holds it to its day.

    Only a chain that was read to its end is whole: what it yielded before it raised must not be kept.
    Raises an `ApiError`; IncompletePagination where the pages loop or stop early.
    """
    query = [
        ("start_time", str(unix_midnight(days.first))),
        ("end_time", str(unix_midnight(days.last + ONE_DAY))),
        ("bucket_width", "1d"),
        ("limit", str(min(len(days), days_per_page))),
        *(("group_by", dimension) for dimension in group_by),
    ]
    due, seen_tokens = days.first, set[str]()
    token: str | None = None
    while True:
        page = api.get(path, [*query, ("page", token)] if token else query, WirePage)
        for raw in page.data:
            yield due, as_utf8(bytes(raw))
            due += ONE_DAY
        if page.has_more and not page.next_page:
            raise errors.IncompletePagination(f"{days}: a page says that there is more and gives no next_page")
        if due > days.last:
            return
        if not page.next_page or not page.data:
            raise errors.IncompletePagination(f"{days}: the pages end before {due}")
        if page.next_page in seen_tokens:
            raise errors.IncompletePagination(f"{days}: the pages repeat themselves before {due}")
        seen_tokens.add(token := page.next_page)


def check_day(start_time: float, end_time: float | None, due: dt.date, days: DayRange) -> None:
    """Raises UnexpectedBucket where a bucket is not exactly the UTC day that was due.

    Times are Unix seconds. A bucket without an end is taken for a day: its successor has to begin a day later.
    """
    reason = _mismatch(start_time, end_time, due, days)
    if reason:
        raise errors.UnexpectedBucket(f"{days}: {due} was due, and a bucket came that {reason}; it is not stored")


def _mismatch(start_time: float, end_time: float | None, due: dt.date, days: DayRange) -> str | None:
    day = day_of_unix_midnight(int(start_time)) if start_time == start_time // 1 else None
    if day is None:
        return f"starts at {_moment(start_time)}, which is not midnight UTC"
    if end_time is not None and end_time != start_time + _DAY_SECONDS:
        return f"covers {_moment(start_time)} to {_moment(end_time)}, which is not one UTC day"
    if due > days.last:
        return f"is for {day}, after the last day of the request"
    return None if day == due else f"is for {day}"


def _moment(seconds: float) -> str:
    try:
        moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, ValueError, OSError):  # as milliseconds are
        return f"{seconds} s"
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}".removesuffix(".000000")
