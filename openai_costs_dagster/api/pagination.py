"""Reads the pages of one query over a range of days.

The rules come from docs/openai-api.md: `limit` counts days, a page token is valid only for the exact query that
returned it, and the API may return further page tokens after the last day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.response_types import WirePage
from openai_costs_dagster.api.unicode_repair import repair_utf8
from openai_costs_dagster.days import ONE_DAY, DayRange, day_of_unix_midnight, unix_midnight

_DAY_SECONDS = 86_400
# If a response is too large, the number of days of a page is divided by this number. Costs are first requested with
# 180 days a page, then with 30, 5 and one.
_SMALLER = 6
# A larger difference may be an error of the server's clock or of a proxy, which must not hide other failures.
_PLAUSIBLE_DIFFERENCE = dt.timedelta(days=7)


def read_days(
    api: AdminApi, path: str, days: DayRange, *, group_by: Sequence[str], days_per_page: int
) -> Iterator[tuple[dt.date, bytes]]:
    """Yield each day of `days` and the bytes of its bucket, in order. The caller must pass each bucket to `check_day`.

    Raises an `ApiError`: IncompletePagination if the pages repeat or end early, DaysNotStarted if they end early
    because the local clock is ahead. After an error, discard all days that were yielded before, because the pages of
    one query belong together. Each page contains a day at least, so there are never more pages than days.
    """
    first, days_per_page = days.first, min(len(days), days_per_page)
    while True:
        try:
            rest = DayRange(first, days.last)
            for day, raw in _read_pages(api, path, rest, group_by=group_by, days_per_page=days_per_page):
                yield day, raw
                first = day + ONE_DAY
        except errors.ResponseTooLarge as error:
            if days_per_page == 1:
                raise errors.ResponseTooLarge(f"{first}: {error}", day=first) from None
            # A page token is valid only for its own limit, so a new query reads the days that are left.
            days_per_page = max(1, days_per_page // _SMALLER)
        except (errors.RequestRefused, errors.GroupingRefused, errors.IncompletePagination) as error:
            raise _days_not_started(api, days, error) or error from None
        else:
            return


def _days_not_started(api: AdminApi, days: DayRange, error: errors.ApiError) -> errors.DaysNotStarted | None:
    """Return the error for days that have not begun at the server, or None if that is not the reason of `error`."""
    now, warning = api.server_time(), api.server_clock.warning
    offset = api.server_clock.offset
    if offset is None or days.last <= now.date() or error.status not in {None, 400}:
        return None
    first = max(days.first, now.date() + ONE_DAY)
    message = f"{first} has not begun: it is {now:%Y-%m-%d %H:%M} UTC according to the server"
    return errors.DaysNotStarted(
        f"{message}; {warning}" if warning else message,
        today=now.date(),
        is_plausible=abs(offset) <= _PLAUSIBLE_DIFFERENCE,
    )


def _read_pages(
    api: AdminApi, path: str, days: DayRange, *, group_by: Sequence[str], days_per_page: int
) -> Iterator[tuple[dt.date, bytes]]:
    query = [
        ("start_time", str(unix_midnight(days.first))),
        ("end_time", str(unix_midnight(days.last + ONE_DAY))),
        ("bucket_width", "1d"),
        ("limit", str(min(len(days), days_per_page))),
        *(("group_by", dimension) for dimension in group_by),
    ]
    expected, used_tokens = days.first, set[str]()
    token: str | None = None
    while True:
        page = api.get(path, [*query, ("page", token)] if token else query, WirePage)
        for raw in page.data:
            yield expected, repair_utf8(bytes(raw))
            expected += ONE_DAY
        if page.has_more and not page.next_page:
            raise errors.IncompletePagination(f"{days}: a page has more results but no next_page")
        # The last day ends the loop, not `has_more`: some servers return page tokens without end.
        if expected > days.last:
            return
        if not page.next_page or not page.data:
            raise errors.IncompletePagination(f"{days}: the pages end before {expected}")
        if page.next_page in used_tokens:
            raise errors.IncompletePagination(f"{days}: the pages repeat before {expected}")
        used_tokens.add(token := page.next_page)


def check_day(start_time: float, end_time: float | None, expected: dt.date, days: DayRange) -> None:
    """Raise UnexpectedBucket if a bucket does not cover exactly the UTC day `expected`.

    Times are Unix seconds. If `end_time` is None, the start of the next bucket shows whether this bucket is one day
    long.
    """
    reason = _mismatch(start_time, end_time, expected, days)
    if reason:
        raise errors.UnexpectedBucket(
            f"{days}: expected the bucket of {expected}, but received a bucket that {reason}; it is not stored"
        )


def _mismatch(start_time: float, end_time: float | None, expected: dt.date, days: DayRange) -> str | None:
    day = day_of_unix_midnight(int(start_time)) if start_time == start_time // 1 else None
    if day is None:
        return f"starts at {_format_time(start_time)}, which is not midnight UTC"
    if end_time is not None and end_time != start_time + _DAY_SECONDS:
        return f"covers {_format_time(start_time)} to {_format_time(end_time)}, which is not one UTC day"
    if expected > days.last:
        return f"is for {day}, after the last day of the request"
    return None if day == expected else f"is for {day}"


def _format_time(seconds: float) -> str:
    try:
        moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    # The number is too large for a date, for example because the server sent milliseconds instead of seconds.
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s"
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}".removesuffix(".000000")
