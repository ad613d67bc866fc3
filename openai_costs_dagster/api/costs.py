"""Reads costs, with the organization that they are of held against the one that was expected."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.pagination import check_day, read_days
from openai_costs_dagster.api.response_types import WireBucket, WireCost
from openai_costs_dagster.cost_records import Grouping
from openai_costs_dagster.days import DayRange

COSTS_PATH = "/organization/costs"
DAYS_PER_PAGE = 180

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
    Raises an `ApiError`; IncompletePagination where the pages loop or stop early, UnexpectedBucket for any bucket but
    that of the next day.
    """
    for due, raw in read_days(api, COSTS_PATH, days, group_by=sorted(grouping), days_per_page=DAYS_PER_PAGE):
        bucket = _decode(raw, due, days)
        guard.check(bucket.rows)
        yield bucket


def is_grouping_served(api: AdminApi, day: dt.date, grouping: Grouping) -> bool:
    """Whether the API serves this grouping for this day; one request. Raises any other `ApiError`."""
    try:
        for _ in read_costs(api, DayRange(day, day), grouping, OrganizationGuard(None)):
            pass
    except errors.GroupingRefused:
        return False
    return True


def _decode(raw: bytes, due: dt.date, days: DayRange) -> CostsBucket:
    try:
        bucket = _BUCKET.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.UnexpectedSchema(f"{due}: a bucket of another shape than the API documents: {error}") from None
    check_day(bucket.start_time, bucket.end_time, due, days)
    return CostsBucket(due, bucket.results, raw)
