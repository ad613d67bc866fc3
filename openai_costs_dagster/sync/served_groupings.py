"""Plans cost queries with the finest grouping that OpenAI serves, and stores which groupings OpenAI refused.

For a week, later runs read the stored refusals and do not request the refused groupings again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.costs import is_grouping_served
from openai_costs_dagster.api.groupings import GroupingPlanner, QueryWindow
from openai_costs_dagster.cost_records import Grouping
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.warehouse import refused_groupings
from openai_costs_dagster.warehouse.database import Connection


class PersistentGroupingPlanner:
    """A `GroupingPlanner` that stores OpenAI's refusals of groupings in the database.

    For a week, later runs therefore do not request a refused grouping again.
    """

    def __init__(
        self,
        api: AdminApi,
        connection: Connection,
        organization: str,
        groupings: Sequence[Grouping],
        now: dt.datetime,
    ) -> None:
        """Load the stored refusals. `groupings` is ordered from the finest to the coarsest grouping."""
        self._connection = connection
        self._organization = organization
        self._groupings = groupings
        stored = refused_groupings.stored_refusals(connection, organization)
        self._planner = GroupingPlanner(
            # The planner of costs and the planner of users' totals store their refusals in the same table. Each planner
            # uses only the refusals of its own groupings.
            [refusal for refusal in stored if refusal.grouping in groupings],
            probe=lambda day, grouping: is_grouping_served(api, day, grouping),
            now=now,
            groupings=groupings,
        )
        self._stored_refusals = list(self._planner.refusals)

    def plan(self, days: DayRange) -> list[QueryWindow]:
        """Return the queries that together cover `days`. May send requests to OpenAI and then raise an `ApiError`."""
        windows = self._planner.plan(days)
        self._store_refusals()
        return windows

    def replan(self, window: QueryWindow) -> list[QueryWindow]:
        """Return the queries that replace a query whose grouping OpenAI refused.

        Sends requests to OpenAI to find a served grouping. Raises an `ApiError` if such a request fails.
        """
        windows = self._planner.replan(window)
        self._store_refusals()
        return windows

    def _store_refusals(self) -> None:
        if self._planner.refusals == self._stored_refusals:
            return
        self._stored_refusals = list(self._planner.refusals)
        refused_groupings.replace_refusals(self._connection, self._organization, self._groupings, self._stored_refusals)
