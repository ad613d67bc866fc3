"""Fetches one window of costs into the staging table and checks it against a second, ungrouped response.

OpenAI documents no checksum for costs. The totals of a response without grouping are the only independent figure to
compare the grouped rows with.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.costs import CostsBucket, OrganizationGuard, read_costs
from openai_costs_dagster.api.groupings import QueryWindow
from openai_costs_dagster.api.response_types import parse_cost
from openai_costs_dagster.cost_records import UNGROUPED, CostRow
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.spend.daily_bill import Bill, bill_of
from openai_costs_dagster.spend.reconciliation import Difference, differences, reconciles
from openai_costs_dagster.warehouse.costs import ExistingDay, Staging

ACCESS_ERRORS = (
    errors.AuthenticationFailed,
    errors.PermissionDenied,
    errors.ConnectionRejected,
    errors.WrongOrganization,
)
"""Errors that end the whole run, because every other window would fail in the same way."""


@dataclass
class FetchedWindow:
    """Everything that was fetched for a window, except its cost rows: these are in the staging table."""

    query: QueryWindow
    bills: dict[dt.date, Bill] = field(default_factory=dict)
    """The totals of the grouped rows of each day."""
    ungrouped: dict[dt.date, Bill] = field(default_factory=dict)
    """The totals of the ungrouped response; a day is missing if OpenAI returned no ungrouped response for it."""
    line_items: set[str] = field(default_factory=set)
    project_names: dict[str, str] = field(default_factory=dict)
    """Project names by project id, if the rows contain them."""
    emails: dict[str, str] = field(default_factory=dict)
    """E-mail addresses by user id, if the rows contain them."""

    def reconciled(self, day: dt.date) -> bool | None:
        """Return whether the grouped rows add up to the ungrouped totals; None without an ungrouped response."""
        return reconciles(self.bills[day], self.ungrouped[day]) if day in self.ungrouped else None

    def largest_difference(self, day: dt.date) -> Difference | None:
        """Return the largest difference in any currency; None without an ungrouped response."""
        if day not in self.ungrouped:
            return None
        found = differences(self.bills[day], self.ungrouped[day])
        return max(found, key=lambda difference: abs(difference.amount), default=None)


class WindowFetcher:
    """Fetches the windows of one organization, one after the other, into its staging table."""

    def __init__(
        self,
        api: AdminApi,
        guard: OrganizationGuard,
        staging: Staging,
        remove_personal_data: Callable[[bytes], bytes],
    ) -> None:
        """`remove_personal_data` returns the raw bytes of a bucket without the texts that must not be stored."""
        self._api = api
        self._guard = guard
        self._staging = staging
        self._remove_personal_data = remove_personal_data

    def fetch(self, query: QueryWindow, existing: Mapping[dt.date, ExistingDay]) -> FetchedWindow:
        """Stage the rows of the query's days. `existing` holds the days that are stored already.

        Doubtful days are fetched a second time: days whose rows do not add up to the ungrouped totals, and settled
        days whose stored spend is missing from the response. Raises an `ApiError`; the caller must then store nothing
        of the window.
        """
        # The staging table may still contain the rows of a previous window, also of one that failed.
        self._staging.clear()
        window = FetchedWindow(query)
        for bucket in read_costs(self._api, query.days, query.grouping, self._guard):
            self._stage(window, bucket)
        window.ungrouped = self._fetch_ungrouped(query.days)
        doubtful = [day for day in query.days if _is_doubtful(window, day, existing.get(day))]
        if doubtful:
            # OpenAI limits a page by its number of days, so the whole range rarely needs more requests than one day.
            self._fetch_again(window, DayRange(doubtful[0], doubtful[-1]))
        return window

    def _stage(self, window: FetchedWindow, bucket: CostsBucket) -> None:
        rows = _add_to_bill(window, bucket)
        self._staging.add(bucket.day, rows, self._remove_personal_data(bucket.raw))

    def _fetch_ungrouped(self, days: DayRange) -> dict[dt.date, Bill]:
        """Return the ungrouped totals, or nothing if the request fails: a failed check does not prevent storing.

        Raises UnexpectedBucket, because an API whose buckets are not UTC days must not be stored at all.
        """
        try:
            return {
                bucket.day: bill_of(map(parse_cost, bucket.rows))[1]
                for bucket in read_costs(self._api, days, UNGROUPED, self._guard)
            }
        except (*ACCESS_ERRORS, errors.UnexpectedBucket):
            raise
        except (errors.ApiError, ValueError):
            return {}

    def _fetch_again(self, window: FetchedWindow, days: DayRange) -> None:
        """Replace the staged rows and the ungrouped totals of the days by a second response, which is final."""
        buckets = list(read_costs(self._api, days, window.query.grouping, self._guard))
        self._staging.forget(days)
        for bucket in buckets:
            self._stage(window, bucket)
            # The costs may have changed between both responses, so the old totals do not belong to the new rows.
            window.ungrouped.pop(bucket.day, None)
        window.ungrouped.update(self._fetch_ungrouped(days))


def _add_to_bill(window: FetchedWindow, bucket: CostsBucket) -> list[CostRow]:
    """Parse a bucket, add its totals and names to the window, and return its rows. Raises UnexpectedSchema."""
    try:
        rows, window.bills[bucket.day] = bill_of(map(parse_cost, bucket.rows))
    except ValueError as error:
        raise errors.UnexpectedSchema(f"{bucket.day}: {error}") from None
    window.line_items.update(row.line_item for row in rows if row.line_item is not None)
    for cost in bucket.rows:
        if cost.project_id is not None and cost.project_name:
            window.project_names[cost.project_id] = cost.project_name
        if cost.user_email and cost.user_id is not None:
            window.emails[cost.user_id] = cost.user_email
    return rows


def _is_doubtful(window: FetchedWindow, day: dt.date, existing: ExistingDay | None) -> bool:
    # A settled day rarely loses all its costs, so an empty response is fetched again before it is believed.
    lost_all_rows = existing and not existing.provisional and existing.is_billed and not window.bills[day].row_count
    return bool(lost_all_rows) or window.reconciled(day) is False
