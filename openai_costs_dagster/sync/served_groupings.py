"""Plans queries with the finest grouping that OpenAI serves, and stores refused groupings between runs."""

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
    """A planner of queries (`api/groupings.py`) that stores each refusal, so that the next run does not repeat it."""

    def __init__(
        self,
        api: AdminApi,
        connection: Connection,
        organization: str,
        groupings: Sequence[Grouping],
        now: dt.datetime,
    ) -> None:
        """Load the stored refusals of `groupings`, which are ordered from the finest to the coarsest."""
        self._connection = connection
        self._organization = organization
        self._groupings = groupings
        stored = refused_groupings.stored_refusals(connection, organization)
        self._planner = GroupingPlanner(
            # Costs and users' totals have planners with different groupings, and both store refusals in one table.
            [refusal for refusal in stored if refusal.grouping in groupings],
            probe=lambda day, grouping: is_grouping_served(api, day, grouping),
            now=now,
            groupings=groupings,
        )
        self._stored_refusals = list(self._planner.refusals)

    def plan(self, days: DayRange) -> list[QueryWindow]:
        """Return the queries that cover the days. May send requests; raises an `ApiError`."""
        windows = self._planner.plan(days)
        self._store_refusals()
        return windows

    def replan(self, window: QueryWindow) -> list[QueryWindow]:
        """Return the queries that replace a refused query. Sends requests; raises an `ApiError`."""
        windows = self._planner.replan(window)
        self._store_refusals()
        return windows

    def _store_refusals(self) -> None:
        if self._planner.refusals == self._stored_refusals:
            return
        self._stored_refusals = list(self._planner.refusals)
        refused_groupings.replace_refusals(self._connection, self._organization, self._groupings, self._stored_refusals)
