"""Each user's own totals by line item, for days whose costs come without users: they serve allocation alone.

Where user and project exclude each other the API still tells users by themselves, and the two must add up to the
same. Never prevents storing costs, and never takes away what was read before: a later reading of the rows that
differs is levelled out when they are shared.
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


class UserTotals:
    """Reads and stores them for one organization, through the guard that its costs went through."""

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

    def read(self, days: Collection[dt.date]) -> None:
        """Stores what each user was billed on some days, as far as the API tells it."""
        for some in reversed(list(DayRange.covering(days))):
            try:
                self._read(some)
            except (errors.ApiError, ValueError, ValueRefused) as error:
                said = "what each user was billed could not be read, what is known of it stays"
                self._log.warning("%s %s: %s: %s", self._organization, some, said, error)

    def _read(self, days: DayRange) -> None:
        work = self._planner.plan(days)
        while work:
            query = work.pop()
            if query.grouping == UNGROUPED:
                continue
            try:
                buckets = list(read_costs(self._api, query.days, BY_USER, self._guard))
            except errors.GroupingRefused:
                work = merge_query_windows(work + self._planner.replan(query))
                continue
            found = {bucket.day: _totals(bucket) for bucket in buckets}
            allocations.store_user_costs(self._connection, self._organization, query.days, found, self._now)


def _totals(bucket: CostsBucket) -> list[UserTotal]:
    """A day's users and line items; rows that share both, in other units or projects, are one."""
    added: dict[tuple[str | None, str | None, str | None], Decimal] = defaultdict(Decimal)
    for cost in map(parse_cost, bucket.rows):
        if cost.amount is not None:
            key = (cost.user_id, cost.line_item, cost.currency)
            added[key] = money.add(added[key], money.normalised(cost.amount))
    return [UserTotal(*key, amount) for key, amount in added.items()]
