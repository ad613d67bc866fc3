"""Synchronizes the total of each user by line item, for days whose cost rows have no user.

Some organizations are not served users and projects in one query. OpenAI then still serves costs grouped by user and
line item alone. Allocation (`sync/allocation.py`) uses these totals to allocate the cost rows of the day to users.

The totals are optional: a failure here never fails a day of costs and never deletes totals that are stored. If costs
are fetched again and no longer add up to the stored totals, allocation scales the totals to the costs.
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
    """Fetches and stores the users' totals of one organization, with the API client and guard of its costs."""

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
        """Store the users' totals of the days. Errors are logged; the stored totals of the days then stay."""
        # The newest days are stored first, as for costs, so that a run that is stopped has stored the most used days.
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
                continue  # OpenAI serves no users for these days
            try:
                buckets = list(read_costs(self._api, window.days, BY_USER, self._guard))
            except errors.GroupingRefused:
                windows = merge_query_windows(windows + self._planner.replan(window))
                continue
            # The users' totals have a table of their own and are never added to costs, which contain the same amounts.
            totals = {bucket.day: _totals(bucket) for bucket in buckets}
            allocations.store_user_costs(self._connection, self._organization, window.days, totals, self._now)


def _totals(bucket: CostsBucket) -> list[UserTotal]:
    """Return one exact total per user, line item and currency; rows without an amount are left out."""
    amounts: dict[tuple[str | None, str | None, str | None], Decimal] = defaultdict(Decimal)
    for cost in map(parse_cost, bucket.rows):
        if cost.amount is not None:
            key = (cost.user_id, cost.line_item, cost.currency)
            amounts[key] = money.add(amounts[key], money.normalised(cost.amount))
    return [UserTotal(*key, amount) for key, amount in amounts.items()]
