"""Reads one window from the API into staging: one chain, held against a second, ungrouped answer."""

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
from openai_costs_dagster.warehouse.costs import KnownDay, Staging

ACCESS_ERRORS = (errors.AuthenticationFailed, errors.PermissionDenied, errors.WrongOrganization)
"""What no other window of the organization would fare better with."""


@dataclass
class Window:
    """What was read: staged rows are in the staging table, this is the rest."""

    query: QueryWindow
    bills: dict[dt.date, Bill] = field(default_factory=dict)
    ungrouped: dict[dt.date, Bill] = field(default_factory=dict)
    line_items: set[str] = field(default_factory=set)
    project_names: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    """Of users, where the answers carry them."""

    def reconciled(self, day: dt.date) -> bool | None:
        """Whether both answers bill the same for a day; None where the second could not be had."""
        return reconciles(self.bills[day], self.ungrouped[day]) if day in self.ungrouped else None

    def largest_difference(self, day: dt.date) -> Difference | None:
        """The currency that differs most, or None where there is nothing to compare."""
        if day not in self.ungrouped:
            return None
        return max(differences(self.bills[day], self.ungrouped[day]), key=lambda one: abs(one.amount), default=None)


class WindowFetcher:
    """Reads windows of one organization, one after the other, into its staging table."""

    def __init__(
        self, api: AdminApi, guard: OrganizationGuard, staging: Staging, cleaned: Callable[[bytes], bytes]
    ) -> None:
        """`cleaned` takes out of a bucket's bytes what must not be kept."""
        self._cleaned = cleaned
        self._api = api
        self._guard = guard
        self._staging = staging

    def read(self, query: QueryWindow, known: Mapping[dt.date, KnownDay]) -> Window:
        """Stages the query's days. `known` is what is stored of them.

        Days whose two answers differ, and settled days that held spend and come back empty, are read once more.
        Raises an `ApiError`; then nothing of the window may be stored.
        """
        self._staging.clear()
        window = Window(query)
        for bucket in read_costs(self._api, query.days, query.grouping, self._guard):
            self._stage(window, bucket)
        window.ungrouped = self._ungrouped(query.days)
        doubtful = [day for day in query.days if self._is_doubtful(window, day, known.get(day))]
        if doubtful:
            self._read_again(window, DayRange(doubtful[0], doubtful[-1]))
        return window

    def _stage(self, window: Window, bucket: CostsBucket) -> None:
        rows = self._bill(window, bucket)
        self._staging.add(bucket.day, rows, self._cleaned(bucket.raw))

    def _bill(self, window: Window, bucket: CostsBucket) -> list[CostRow]:
        try:
            rows, window.bills[bucket.day] = bill_of(map(parse_cost, bucket.rows))
        except ValueError as error:
            raise errors.UnexpectedSchema(f"{bucket.day}: {error}") from None
        window.line_items.update(row.line_item for row in rows if row.line_item is not None)
        for cost in bucket.rows:
            if cost.project_id is not None and cost.project_name:
                window.project_names[cost.project_id] = cost.project_name
            if cost.user_email and cost.user_id is not None:
                window.addresses[cost.user_id] = cost.user_email
        return rows

    def _is_doubtful(self, window: Window, day: dt.date, known: KnownDay | None) -> bool:
        vanished = known and not known.provisional and known.is_billed and not window.bills[day].row_count
        return bool(vanished) or window.reconciled(day) is False

    def _read_again(self, window: Window, days: DayRange) -> None:
        """Reads both sides of some days once more; what the second reading says is believed."""
        buckets = list(read_costs(self._api, days, window.query.grouping, self._guard))
        self._staging.forget(days)
        for bucket in buckets:
            self._stage(window, bucket)
            window.ungrouped.pop(bucket.day, None)  # two readings are not held against each other
        window.ungrouped.update(self._ungrouped(days))

    def _ungrouped(self, days: DayRange) -> dict[dt.date, Bill]:
        """The second answer; empty where it cannot be had, for it never prevents storing.

        Raises UnexpectedBucket: an API whose buckets are no UTC days is not read at all.
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
