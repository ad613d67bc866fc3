"""Reads costs: one chain of pages is one query over a range of days, whole or an error.

Rules and their sources: docs/openai-api.md. `limit` counts days;
a token is bound to its exact query; pages past the last day may go on for ever, so the last day ends a chain.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.wire import WireBucket, WireCost, WirePage
from openai_costs_dagster.cost_records import Grouping
from openai_costs_dagster.days import ONE_DAY, DayRange, day_of_unix_midnight, unix_midnight

COSTS_PATH = "/organization/costs"
DAYS_PER_PAGE = 180

_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")  # the one character that PostgreSQL's text cannot hold
_BUCKET = msgspec.json.Decoder(WireBucket)


@dataclass(frozen=True)
class CostsBucket:
    """A day as the API sent it: its rows, and the very bytes they came in."""

    day: dt.date
    rows: Sequence[WireCost]
    raw: bytes


class OrganizationGuard:
    """Holds every answer's organization id against the expected one; learns it where none is expected."""

    def __init__(self, expected: str | None) -> None:
        self.organization_id = expected

    def check(self, rows: Sequence[WireCost]) -> None:
        """Raises WrongOrganization on the first row of another organization."""
        for row in rows:
            found = row.organization_id
            if found is None or found == self.organization_id:
                continue
            if self.organization_id is not None:
                raise errors.WrongOrganization(
                    f"the key reads {found}, but {self.organization_id} was expected: "
                    "correct organization_id or use that organization's admin key"
                )
            self.organization_id = found


def read_costs(api: AdminApi, days: DayRange, grouping: Grouping, guard: OrganizationGuard) -> Iterator[CostsBucket]:
    """Yields one bucket for every day of `days`, in order.

    Only a chain that was read to its end is whole: what it yielded before it raised must not be kept.
    Raises an `ApiError`; IncompleteChain where the pages loop, stop early or leave a day out.
    """
    query = [
        ("start_time", str(unix_midnight(days.first))),
        ("end_time", str(unix_midnight(days.last + ONE_DAY))),
        ("bucket_width", "1d"),
        ("limit", str(min(len(days), DAYS_PER_PAGE))),
        *(("group_by", dimension) for dimension in sorted(grouping)),
    ]
    due, seen_tokens = days.first, set[str]()
    token: str | None = None
    while True:
        page = api.get(COSTS_PATH, [*query, ("page", token)] if token else query, WirePage)
        for raw in page.data:
            bucket = _decode(bytes(raw), due, days)
            guard.check(bucket.rows)
            yield bucket
            due += ONE_DAY
        if page.has_more and not page.next_page:
            raise errors.IncompleteChain(f"{days}: a page says that there is more and gives no next_page")
        if due > days.last:
            return
        if not page.next_page or not page.data:
            raise errors.IncompleteChain(f"{days}: the pages end before {due}")
        if page.next_page in seen_tokens:
            raise errors.IncompleteChain(f"{days}: the pages repeat themselves before {due}")
        seen_tokens.add(token := page.next_page)


def is_served(api: AdminApi, day: dt.date, grouping: Grouping) -> bool:
    """Whether the API serves this grouping for this day; one request. Raises any other `ApiError`."""
    try:
        for _ in read_costs(api, DayRange(day, day), grouping, OrganizationGuard(None)):
            pass
    except errors.GroupingRefused:
        return False
    return True


def _decode(raw: bytes, due: dt.date, days: DayRange) -> CostsBucket:
    try:
        bucket = _BUCKET.decode(_NUL.sub(rb"\1\\ufffd", raw) if rb"\u0000" in raw else raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.UnknownShape(f"{due}: a bucket of another shape than the API documents: {error}") from None
    day = day_of_unix_midnight(bucket.start_time)
    if day != due or due > days.last:
        raise errors.IncompleteChain(f"{days}: {due} was due, and a bucket for {day or bucket.start_time} came")
    return CostsBucket(due, bucket.results, raw)
