"""What an organization is served, as the warehouse remembers it between runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.costs import is_served
from openai_costs_dagster.api.groupings import Detail, Piece, Refusal
from openai_costs_dagster.cost_records import Grouping, grouping_name, grouping_named
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.warehouse import refused_groupings
from openai_costs_dagster.warehouse.database import Connection


class PersistentGroupingPlanner:
    """A `Detail` whose refusals are stored as soon as they are learned; groupings not in its list are let be."""

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
            Refusal(grouping_named(one.grouping), one.first_day, one.last_day, one.seen_at)
            for one in refused_groupings.refusals(connection, organization)
        ]
        self._detail = Detail(
            [one for one in known if one.grouping in groupings],
            serves=lambda day, grouping: is_served(api, day, grouping),
            now=now,
            groupings=groupings,
        )
        self._kept = list(self._detail.refusals)

    def plan(self, days: DayRange) -> list[Piece]:
        """`Detail.plan`, remembered."""
        pieces = self._detail.plan(days)
        self._keep()
        return pieces

    def refused(self, piece: Piece) -> list[Piece]:
        """`Detail.refused`, remembered."""
        pieces = self._detail.refused(piece)
        self._keep()
        return pieces

    def _keep(self) -> None:
        if self._detail.refusals == self._kept:
            return
        self._kept = list(self._detail.refusals)
        stored = [
            refused_groupings.StoredRefusal(grouping_name(one.grouping), one.first, one.last, one.seen_at)
            for one in self._kept
        ]
        refused_groupings.keep_refusals(
            self._connection, self._organization, map(grouping_name, self._groupings), stored
        )
