"""Finds the finest grouping that an organization is served, day by day, and remembers what was refused.

Which groupings are served depends on the organization and the requested time range, and is documented nowhere:
it is found out. A query over a range is refused when one of its days is, so a refused range is taken do_not_merge by
one-day probes, known dates first. What was learned saves the next run its probes and is tried anew now and then.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from openai_costs_dagster.cost_records import GROUPINGS, Grouping
from openai_costs_dagster.days import ONE_DAY, DayRange

API_KEY_GROUPING_SINCE = dt.date(2025, 12, 6)
"""Windows that start before this day were seen to be refused `api_key_id` (a captured answer)."""

REFUSAL_TTL = dt.timedelta(days=7)
"""How long a refusal is believed before it is tried anew."""

SHORT = 31
"""A range of so many days is believed refused when both of its ends are; in a longer one the middle is asked too."""

_WITH_API_KEYS = GROUPINGS[1]

Probe = Callable[[dt.date, Grouping], bool]
"""Asks the API whether a day is served with a grouping; costs one request."""


@dataclass(frozen=True)
class RefusedGrouping:
    """Days, both ends included and None without end, for which a grouping was refused at `refused_at`."""

    grouping: Grouping
    first: dt.date | None
    last: dt.date | None
    refused_at: dt.datetime

    def covers(self, day: dt.date) -> bool:
        """Whether the day was refused."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


@dataclass(frozen=True)
class QueryWindow:
    """Days that one query asks for together, and the grouping it asks with."""

    days: DayRange
    grouping: Grouping
    do_not_merge: bool = False
    """Whether the window is half of a refused range whose refused days could not be located."""


class GroupingPlanner:
    """What one organization is served; `refusals` is the memory to keep when the work is done."""

    def __init__(
        self,
        refusals: Iterable[RefusedGrouping],
        *,
        probe: Probe,
        now: dt.datetime,
        groupings: Sequence[Grouping] = GROUPINGS,
    ) -> None:
        """`groupings` go from the finest to the one that cannot be refused."""
        self.refusals = list(refusals)
        self._groupings = groupings
        self._is_served = probe
        self._now = now
        self._newest: dt.date | None = None

    def plan(self, days: DayRange) -> list[QueryWindow]:
        """Cuts a range into as few queries as the memory allows; probes what is not known or no longer believed."""
        self._newest = max(days.last, self._newest or days.last)
        self._try_anew(days)
        self._probe_known_date(days)
        return self._queries(days)

    def replan(self, query: QueryWindow) -> list[QueryWindow]:
        """What to ask instead of a query that the API refused. Costs probes; raises any other `ApiError`.

        Raises ValueError for the coarsest grouping, below which there is nothing.
        """
        if query.grouping == self._groupings[-1]:
            raise ValueError("the coarsest grouping cannot be refused for its detail")
        blamed = self._refused_parts(query.days, query.grouping)
        for days in blamed:
            # What was refused a few days ago, and is refused until the newest day asked for, is not asked for today.
            until_further_notice = days.last == self._newest and days.last >= self._now.date() - REFUSAL_TTL
            last = None if until_further_notice else days.last
            self.refusals.append(RefusedGrouping(query.grouping, days.first, last, self._now))
        return self._queries(query.days) if blamed else _halves(query)

    def _try_anew(self, days: DayRange) -> None:
        """Probes the newest of `days` in every refusal that is no longer believed: forgets it, or believes it again."""
        for refusal in list(self.refusals):
            shared = days.intersection(refusal.first, refusal.last)
            if shared is None or self._now - refusal.refused_at < REFUSAL_TTL:
                continue
            served = self._is_served(shared.last, refusal.grouping)
            self.refusals.remove(refusal)
            if not served:
                self.refusals.append(replace(refusal, refused_at=self._now))

    def _probe_known_date(self, days: DayRange) -> None:
        """Spares the bisection where the documented date of `api_key_id` lies inside the range."""
        before = API_KEY_GROUPING_SINCE - ONE_DAY
        if not (days.first <= before < days.last) or _WITH_API_KEYS not in self._order_left(before):
            return
        if self._is_served(before, _WITH_API_KEYS):
            return
        older = DayRange(days.first, before)
        oldest_is_served = len(older) > 1 and self._is_served(older.first, _WITH_API_KEYS)
        first = self._first_refused(older, _WITH_API_KEYS) if oldest_is_served else older.first
        self.refusals.append(RefusedGrouping(_WITH_API_KEYS, first, before, self._now))

    def _queries(self, days: DayRange) -> list[QueryWindow]:
        return merge_query_windows(QueryWindow(DayRange(day, day), self._finest(day)) for day in days)

    def _finest(self, day: dt.date) -> Grouping:
        return self._order_left(day)[0]

    def _order_left(self, day: dt.date) -> list[Grouping]:
        """The groupings, finest first, of which neither themselves nor a part was refused for the day."""
        refused = [refusal.grouping for refusal in self.refusals if refusal.covers(day)]
        return [
            grouping
            for grouping in self._groupings
            if grouping == self._groupings[-1] or not any(part <= grouping for part in refused)
        ]

    def _refused_parts(self, days: DayRange, grouping: Grouping) -> list[DayRange]:
        """The days of a refused range that are to blame; none where both ends and the middle are served."""
        if len(days) == 1:
            return [days]
        newest, oldest = self._is_served(days.last, grouping), self._is_served(days.first, grouping)
        if newest and not oldest:
            return [DayRange(days.first, self._last_refused(days, grouping))]
        if oldest and not newest:
            return [DayRange(self._first_refused(days, grouping), days.last)]
        if not newest and len(days) <= SHORT:
            return [days]
        middle = _middle(days)
        before, after = DayRange(days.first, middle), DayRange(middle, days.last)
        if newest == self._is_served(middle, grouping):
            return [] if newest else [days]
        if newest:
            return [DayRange(self._first_refused(before, grouping), self._last_refused(after, grouping))]
        return [
            DayRange(days.first, self._last_refused(before, grouping)),
            DayRange(self._first_refused(after, grouping), days.last),
        ]

    def _last_refused(self, days: DayRange, grouping: Grouping) -> dt.date:
        """Where the first day is refused and the last is served."""
        return self._edge(days, grouping, newest_is_served=True).first

    def _first_refused(self, days: DayRange, grouping: Grouping) -> dt.date:
        """Where the first day is served and the last is refused."""
        return self._edge(days, grouping, newest_is_served=False).last

    def _edge(self, days: DayRange, grouping: Grouping, *, newest_is_served: bool) -> DayRange:
        """Bisects to two neighbouring days, of which one is served and the other is not."""
        first, last = days.first, days.last
        while last - first > ONE_DAY:
            middle = _middle(DayRange(first, last))
            if self._is_served(middle, grouping) == newest_is_served:
                last = middle
            else:
                first = middle
        return DayRange(first, last)


def _middle(days: DayRange) -> dt.date:
    return days.first + (days.last - days.first) // 2


def _halves(query: QueryWindow) -> list[QueryWindow]:
    middle = _middle(query.days)
    before, after = DayRange(query.days.first, middle), DayRange(middle + ONE_DAY, query.days.last)
    return [replace(query, days=before, do_not_merge=True), replace(query, days=after, do_not_merge=True)]


def merge_query_windows(queries: Iterable[QueryWindow]) -> list[QueryWindow]:
    """The same days in as few queries as possible: neighbours of one grouping become one, oldest first."""
    result: list[QueryWindow] = []
    for query in sorted(queries, key=lambda one: one.days):
        before = result[-1] if result else None
        if (
            before
            and before.grouping == query.grouping
            and before.days.last + ONE_DAY == query.days.first
            and not (before.do_not_merge and query.do_not_merge)
        ):
            result[-1] = QueryWindow(DayRange(before.days.first, query.days.last), query.grouping)
        else:
            result.append(query)
    return result
