"""What an organization is served, as the warehouse remembers it between runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.costs import is_grouping_served
from openai_costs_dagster.api.groupings import GroupingPlanner, QueryWindow, RefusedGrouping
from openai_costs_dagster.cost_records import Grouping, grouping_name, parse_grouping
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.warehouse import refused_groupings
from openai_costs_dagster.warehouse.database import Connection


class PersistentGroupingPlanner:
    """A `GroupingPlanner` that stores every refused grouping at once, so that the next run starts with them."""

    def __init__(
        self,
        api: AdminApi,
        connection: Connection,
        organization: str,
        groupings: Sequence[Grouping],
        now: dt.datetime,
    ) -> None:
        self._connection = connection
        self._organization = organization
        self._groupings = groupings
        known = [
            RefusedGrouping(parse_grouping(one.grouping), one.first_day, one.last_day, one.seen_at)
            for one in refused_groupings.refusals(connection, organization)
        ]
        self._planner = GroupingPlanner(
            [one for one in known if one.grouping in groupings],
            probe=lambda day, grouping: is_grouping_served(api, day, grouping),
            now=now,
            groupings=groupings,
        )
        self._kept = list(self._planner.refusals)

    def plan(self, days: DayRange) -> list[QueryWindow]:
        """`GroupingPlanner.plan`, with the new refusals stored."""
        queries = self._planner.plan(days)
        self._keep()
        return queries

    def replan(self, query: QueryWindow) -> list[QueryWindow]:
        """`GroupingPlanner.replan`, with the new refusals stored."""
        queries = self._planner.replan(query)
        self._keep()
        return queries

    def _keep(self) -> None:
        if self._planner.refusals == self._kept:
            return
        self._kept = list(self._planner.refusals)
        stored = [
            refused_groupings.StoredRefusal(grouping_name(one.grouping), one.first, one.last, one.refused_at)
            for one in self._kept
        ]
        refused_groupings.keep_refusals(
            self._connection, self._organization, map(grouping_name, self._groupings), stored
        )
