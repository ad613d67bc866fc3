"""Synchronizes the total of each user by line item, for days whose cost rows have no user.

For some organizations, OpenAI refuses to group costs by user and project in one query, but still serves costs grouped
by user and line item. `sync/allocation.py` uses these totals to allocate the cost rows of a day to users.

The totals of users are optional: if they cannot be fetched, the day's costs and earlier stored totals stay stored. If a
day's costs are fetched again later and differ from the sum of the stored totals, `sync/allocation.py` scales the totals
of users to the costs.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Collection
from decimal import Decimal

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.costs import CostsBucket, OrganizationGuard, read_costs
from openai_costs_dagster.api.groupings import merge_query_windows
from openai_costs_dagster.api.response_types import parse_cost
from openai_costs_dagster.cost_records import BY_USER, UNGROUPED
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.records import UserTotal
from openai_costs_dagster.spend import money
from openai_costs_dagster.sync.served_groupings import PersistentGroupingPlanner
from openai_costs_dagster.warehouse import allocations
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.errors import ValueRefused


class UserTotalsSync:
    """Fetches and stores the totals of one organization's users.

    Uses the API client and the check of the organization id (`guard`) of the run that has fetched the costs.
    """

    def __init__(
        self,
        api: AdminApi,
        guard: OrganizationGuard,
        connection: Connection,
        organization: str,
        now: dt.datetime,
        log: logging.Logger,
    ) -> None:
        self._api = api
        self._guard = guard
        self._connection = connection
        self._organization = organization
        self._now = now
        self._log = log
        self._planner = PersistentGroupingPlanner(api, connection, organization, (BY_USER, UNGROUPED), now)

    def run(self, days: Collection[dt.date]) -> None:
        """Fetch and store the totals of users for `days`. Raises no error if OpenAI does not return the totals.

        Such an error is logged, and the stored totals of the days stay unchanged.
        """
        # The newest days are stored first, because people look at the newest days most and a run may be stopped
        # halfway.
        for contiguous in reversed(list(DayRange.covering(days))):
            try:
                self._store(contiguous)
            except (errors.ApiError, ValueError, ValueRefused) as error:
                self._log.warning(
                    "%s %s: the totals of users could not be fetched, stored totals stay unchanged: %s",
                    self._organization,
                    contiguous,
                    error,
                )

    def _store(self, days: DayRange) -> None:
        windows = self._planner.plan(days)
        while windows:
            window = windows.pop()
            if window.grouping == UNGROUPED:
                continue  # OpenAI does not group the costs of these days by user.
            try:
                buckets = list(read_costs(self._api, window.days, BY_USER, self._guard))
            except errors.GroupingRefused:
                windows = merge_query_windows(windows + self._planner.replan(window))
                continue
            # The totals of users contain the same amounts as the cost rows. A separate table keeps them from being
            # added to the costs, which would count each amount twice.
            totals = {bucket.day: _totals(bucket) for bucket in buckets}
            allocations.store_user_costs(self._connection, self._organization, window.days, totals, self._now)


def _totals(bucket: CostsBucket) -> list[UserTotal]:
    """Return the exact total of each combination of user, line item and currency. Skips rows without an amount."""
    amounts: dict[tuple[str | None, str | None, str | None], Decimal] = defaultdict(Decimal)
    for cost in map(parse_cost, bucket.rows):
        if cost.amount is not None:
            key = (cost.user_id, cost.line_item, cost.currency)
            amounts[key] = money.add(amounts[key], money.normalised(cost.amount))
    return [UserTotal(*key, amount) for key, amount in amounts.items()]
