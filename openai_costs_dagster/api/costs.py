"""Reads daily costs and verifies that every row belongs to the expected organization."""

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
    """The costs of one UTC day: the decoded rows and the unchanged bytes of the bucket."""

    day: dt.date
    rows: Sequence[WireCost]
    raw: bytes


class OrganizationGuard:
    """A check that all responses belong to one organization.

    Without an expected id, the first id that a response contains becomes the expected one.
    """

    def __init__(self, expected: str | None) -> None:
        self.organization_id = expected

    def check(self, rows: Sequence[WireCost]) -> None:
        """Raise WrongOrganization if a row belongs to another organization."""
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
    """Yield one bucket for every day of `days`, in order.

    Raises an `ApiError`: IncompletePagination if the pages repeat or end early, UnexpectedBucket if a bucket does not
    cover the next day. After an error, discard all buckets of the call, because the pages of one query belong together.
    """
    for expected, raw in read_days(api, COSTS_PATH, days, group_by=sorted(grouping), days_per_page=DAYS_PER_PAGE):
        bucket = _decode(raw, expected, days)
        guard.check(bucket.rows)
        yield bucket


def is_grouping_served(api: AdminApi, day: dt.date, grouping: Grouping) -> bool:
    """Send one request, and return whether the API serves costs in this grouping for this day.

    Raises any `ApiError` except `GroupingRefused` (the result is False) and `ResponseTooLarge` (the result is True).
    """
    try:
        for _ in read_costs(api, DayRange(day, day), grouping, OrganizationGuard(None)):
            pass  # The generator sends its request only while it is consumed.
    except errors.GroupingRefused:
        return False
    except errors.ResponseTooLarge:
        return True  # The size of a response shows that the API serves the grouping.
    return True


def _decode(raw: bytes, expected: dt.date, days: DayRange) -> CostsBucket:
    try:
        bucket = _BUCKET.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.UnexpectedSchema(f"{expected}: the bucket does not have the documented format: {error}") from None
    check_day(bucket.start_time, bucket.end_time, expected, days)
    return CostsBucket(expected, bucket.results, raw)
