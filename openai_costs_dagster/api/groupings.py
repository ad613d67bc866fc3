"""Plans queries so that every day is read with the finest grouping that OpenAI serves.

The served groupings depend on the organization and on the requested days, and OpenAI does not document them. OpenAI
refuses a query if the grouping is not served for one of its days. The planner therefore locates the refused days of a
range with one-day requests (probes), and returns the refused groupings for storage. The next run starts with the stored
refusals and probes them again after a week.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from openai_costs_dagster.cost_records import GROUPINGS, Grouping, RefusedGrouping
from openai_costs_dagster.days import ONE_DAY, DayRange

API_KEY_GROUPING_SINCE = dt.date(2025, 12, 6)
"""The first UTC day for which OpenAI groups costs by API key, according to the text of a refused request."""

REFUSAL_TTL = dt.timedelta(days=7)
"""The time after which the sync requests a refused grouping again."""

SHORT_RANGE_DAYS = 31
"""The longest range that counts as refused if its first and last day are. Longer ranges are also probed in the
middle."""

_WITH_API_KEYS = GROUPINGS[1]

Probe = Callable[[dt.date, Grouping], bool]
"""A function that returns whether the API serves a grouping for a day. Each call is one request."""


@dataclass(frozen=True)
class QueryWindow:
    """The days and the grouping of one query."""

    days: DayRange
    grouping: Grouping
    do_not_merge: bool = False
    """Whether the window must not be merged with its neighbor.

    OpenAI refused the merged query, but no probe found a refused day.
    """


class GroupingPlanner:
    """The planner for the queries of one organization. Store `refusals` at the end of a run for the next run."""

    def __init__(
        self,
        refusals: Iterable[RefusedGrouping],
        *,
        probe: Probe,
        now: dt.datetime,
        groupings: Sequence[Grouping] = GROUPINGS,
    ) -> None:
        """Create a planner that already knows the stored `refusals`.

        `groupings` are ordered from the finest to the coarsest. The API must serve the coarsest for every day.
        """
        self.refusals = list(refusals)
        self._groupings = groupings
        self._is_served = probe
        self._now = now
        self._newest: dt.date | None = None

    def plan(self, days: DayRange) -> list[QueryWindow]:
        """Return the fewest queries that read `days`, given the known refusals. May send probes.

        Raises any `ApiError` of a probe.
        """
        self._newest = max(days.last, self._newest or days.last)
        self._recheck_old_refusals(days)
        self._probe_api_key_date(days)
        return self._windows(days)

    def replan(self, query: QueryWindow) -> list[QueryWindow]:
        """Return the queries that replace a refused query. Sends probes.

        Raises any `ApiError` of a probe, and ValueError for the coarsest grouping, which has no replacement.
        """
        if query.grouping == self._groupings[-1]:
            raise ValueError("the API refused the coarsest grouping, which has no replacement")
        refused_ranges = self._refused_ranges(query.days, query.grouping)
        for days in refused_ranges:
            # A refusal that reaches the newest requested day is stored without an end, so that no run requests the
            # refused grouping for later days.
            is_open_ended = days.last == self._newest and days.last >= self._now.date() - REFUSAL_TTL
            last = None if is_open_ended else days.last
            self.refusals.append(RefusedGrouping(query.grouping, days.first, last, self._now))
        return self._windows(query.days) if refused_ranges else _halves(query)

    def _recheck_old_refusals(self, days: DayRange) -> None:
        """Probe each refusal older than `REFUSAL_TTL` on the newest of `days` that the refusal covers.

        A refusal is dropped if the grouping is served again, and renewed otherwise.
        """
        for refusal in list(self.refusals):
            shared = days.intersection(refusal.first_day, refusal.last_day)
            if shared is None or self._now - refusal.observed_at < REFUSAL_TTL:
                continue
            served = self._is_served(shared.last, refusal.grouping)
            self.refusals.remove(refusal)
            if not served:
                self.refusals.append(refusal._replace(observed_at=self._now))

    def _probe_api_key_date(self, days: DayRange) -> None:
        """Probe the day before grouping by API key began, if `days` spans that date.

        The probe usually finds the boundary with one request, which a bisection of a year finds with nine.
        """
        before = API_KEY_GROUPING_SINCE - ONE_DAY
        if not (days.first <= before < days.last) or _WITH_API_KEYS not in self._candidates(before):
            return
        if self._is_served(before, _WITH_API_KEYS):
            return
        older = DayRange(days.first, before)
        oldest_is_served = len(older) > 1 and self._is_served(older.first, _WITH_API_KEYS)
        first = self._first_refused(older, _WITH_API_KEYS) if oldest_is_served else older.first
        self.refusals.append(RefusedGrouping(_WITH_API_KEYS, first, before, self._now))

    def _windows(self, days: DayRange) -> list[QueryWindow]:
        return merge_query_windows(QueryWindow(DayRange(day, day), self._finest(day)) for day in days)

    def _finest(self, day: dt.date) -> Grouping:
        return self._candidates(day)[0]

    def _candidates(self, day: dt.date) -> list[Grouping]:
        """Return the groupings that may be served for a day, finest first.

        A grouping is excluded if the API refused it or any subset of its dimensions.
        """
        refused = [refusal.grouping for refusal in self.refusals if refusal.covers(day)]
        return [
            grouping
            for grouping in self._groupings
            if grouping == self._groupings[-1] or not any(subset <= grouping for subset in refused)
        ]

    def _refused_ranges(self, days: DayRange, grouping: Grouping) -> list[DayRange]:
        """Return the parts of a refused range for which the grouping is not served.

        The result is empty if both ends and the middle are served, because the refused days are then unknown.
        """
        if len(days) == 1:
            return [days]
        newest, oldest = self._is_served(days.last, grouping), self._is_served(days.first, grouping)
        if newest and not oldest:
            return [DayRange(days.first, self._last_refused(days, grouping))]
        if oldest and not newest:
            return [DayRange(self._first_refused(days, grouping), days.last)]
        # OpenAI serves the grouping on both ends of the range, or refuses the grouping on both. A short range with two
        # refused ends counts as refused completely, because another test request costs more than the finer grouping of
        # a few days is worth.
        if not newest and len(days) <= SHORT_RANGE_DAYS:
            return [days]
        middle = _middle(days)
        before, after = DayRange(days.first, middle), DayRange(middle, days.last)
        if newest == self._is_served(middle, grouping):
            return [] if newest else [days]
        # The middle differs from both ends, so there is one boundary on each side of the middle.
        if newest:
            return [DayRange(self._first_refused(before, grouping), self._last_refused(after, grouping))]
        return [
            DayRange(days.first, self._last_refused(before, grouping)),
            DayRange(self._first_refused(after, grouping), days.last),
        ]

    def _last_refused(self, days: DayRange, grouping: Grouping) -> dt.date:
        """Return the last refused day of a range whose first day is refused and whose last day is served."""
        return self._boundary(days, grouping, newest_is_served=True).first

    def _first_refused(self, days: DayRange, grouping: Grouping) -> dt.date:
        """Return the first refused day of a range whose first day is served and whose last day is refused."""
        return self._boundary(days, grouping, newest_is_served=False).last

    def _boundary(self, days: DayRange, grouping: Grouping, *, newest_is_served: bool) -> DayRange:
        """Return two consecutive days, one served and one refused, by bisection."""
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
    """Merge adjacent windows with the same grouping, and return all windows in the order of their days."""
    merged: list[QueryWindow] = []
    for query in sorted(queries, key=lambda window: window.days):
        before = merged[-1] if merged else None
        if (
            before
            and before.grouping == query.grouping
            and before.days.last + ONE_DAY == query.days.first
            and not (before.do_not_merge and query.do_not_merge)
        ):
            merged[-1] = QueryWindow(DayRange(before.days.first, query.days.last), query.grouping)
        else:
            merged.append(query)
    return merged
