"""Fetches the costs of a range of days (a window) into the staging table and compares them with ungrouped totals.

OpenAI documents no checksum for costs. The totals of a second response without grouping are therefore the only
independent figures with which the sums of the grouped rows can be compared.
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
"""The errors that end the whole run, because requests for all other days would fail in the same way."""


@dataclass
class FetchedWindow:
    """The totals and names in OpenAI's response for a range of days. The cost rows are in the staging table."""

    query: QueryWindow
    bills: dict[dt.date, Bill] = field(default_factory=dict)
    """The totals of the grouped cost rows, by day."""
    ungrouped: dict[dt.date, Bill] = field(default_factory=dict)
    """The totals of OpenAI's response without grouping, by day. A day is missing if the request for it failed."""
    line_items: set[str] = field(default_factory=set)
    project_names: dict[str, str] = field(default_factory=dict)
    """The project names in the cost rows, by project id. Rows of some groupings contain no names."""
    emails: dict[str, str] = field(default_factory=dict)
    """The e-mail addresses in the cost rows, by user id. Rows of some groupings contain no addresses."""

    def reconciled(self, day: dt.date) -> bool | None:
        """Return whether the day's grouped rows add up to its totals without grouping; None if these are unknown."""
        return reconciles(self.bills[day], self.ungrouped[day]) if day in self.ungrouped else None

    def largest_difference(self, day: dt.date) -> Difference | None:
        """Return the difference between the day's grouped and ungrouped totals in the currency where it is largest.

        Returns None if OpenAI returned no ungrouped totals for the day.
        """
        if day not in self.ungrouped:
            return None
        found = differences(self.bills[day], self.ungrouped[day])
        return max(found, key=lambda difference: abs(difference.amount), default=None)


class WindowFetcher:
    """Fetches the costs of one organization into the staging table, one window of days after the other."""

    def __init__(
        self,
        api: AdminApi,
        guard: OrganizationGuard,
        staging: Staging,
        remove_personal_data: Callable[[bytes], bytes],
    ) -> None:
        """Create a fetcher. `remove_personal_data` returns a raw response without names that must not be stored."""
        self._api = api
        self._guard = guard
        self._staging = staging
        self._remove_personal_data = remove_personal_data

    def fetch(self, query: QueryWindow, existing: Mapping[dt.date, ExistingDay]) -> FetchedWindow:
        """Fetch the days of `query` into the staging table. `existing` holds the days that are already stored, by day.

        Two kinds of days are fetched a second time: days whose rows do not add up to the ungrouped totals, and settled
        days whose response is empty although spend is stored for them. Raises an `ApiError`; the caller must then store
        no day of the query.
        """
        # The staging table may still contain rows of the previous query, for example if that query failed.
        self._staging.clear()
        window = FetchedWindow(query)
        for bucket in read_costs(self._api, query.days, query.grouping, self._guard):
            self._stage(window, bucket)
        window.ungrouped = self._fetch_ungrouped(query.days)
        doubtful = [day for day in query.days if _is_doubtful(window, day, existing.get(day))]
        if doubtful:
            # The whole range from the first to the last doubtful day is fetched again. One page of a response holds
            # many days, so fetching each doubtful day alone would need more requests.
            self._fetch_again(window, DayRange(doubtful[0], doubtful[-1]))
        return window

    def _stage(self, window: FetchedWindow, bucket: CostsBucket) -> None:
        rows = _add_to_bill(window, bucket)
        self._staging.add(bucket.day, rows, self._remove_personal_data(bucket.raw))

    def _fetch_ungrouped(self, days: DayRange) -> dict[dt.date, Bill]:
        """Return the totals of a response without grouping, by day. Returns an empty dictionary if the request fails.

        A failed request does not raise, because costs are stored even if they cannot be compared. Raises
        `ACCESS_ERRORS`, and `UnexpectedBucket` if a bucket is not a UTC day, because such costs must not be stored.
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
        """Fetch `days` again, and replace the staged rows and the ungrouped totals of these days.

        The second response is stored even if its totals still differ.
        """
        buckets = list(read_costs(self._api, days, window.query.grouping, self._guard))
        self._staging.forget(days)
        for bucket in buckets:
            self._stage(window, bucket)
            # OpenAI may have changed the costs between the first and the second response, so the ungrouped totals of
            # the first response must not be compared with the new rows.
            window.ungrouped.pop(bucket.day, None)
        window.ungrouped.update(self._fetch_ungrouped(days))


def _add_to_bill(window: FetchedWindow, bucket: CostsBucket) -> list[CostRow]:
    """Add the totals and names of one day's response, `bucket`, to `window`, and return the parsed cost rows.

    Raises `UnexpectedSchema` if a row cannot be parsed.
    """
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
    # OpenAI rarely removes all costs of a settled day. An empty response may be an error, so the day is fetched again
    # before its stored costs are deleted.
    lost_all_rows = existing and not existing.provisional and existing.is_billed and not window.bills[day].row_count
    return bool(lost_all_rows) or window.reconciled(day) is False
