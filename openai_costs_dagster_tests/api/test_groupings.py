"""Tests of `GroupingPlanner`: each day is read with its finest served grouping, and few probes are sent.

Like the live API, the fake API refuses a query if it refuses one of the days, and refuses a grouping if it refuses a
subset of the dimensions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.groupings import (
    API_KEY_GROUPING_SINCE,
    REFUSAL_TTL,
    GroupingPlanner,
    QueryWindow,
    merge_query_windows,
)
from openai_costs_dagster.cost_records import GROUPINGS, Grouping, RefusedGrouping
from openai_costs_dagster.days import ONE_DAY, DayRange

_EVERYTHING, _KEYS, _USERS, _LEAST = GROUPINGS
_NOW = dt.datetime(2026, 3, 11, 14, 30, tzinfo=dt.UTC)
_TODAY = _NOW.date()
_A_YEAR = DayRange(_TODAY - 364 * ONE_DAY, _TODAY)
_MONTH = DayRange(_TODAY - 29 * ONE_DAY, _TODAY)

ServedOn = Callable[[dt.date], bool]


class Api:
    """A fake API that serves each grouping on some days, and records probes and queries."""

    def __init__(self, served: Mapping[Grouping, ServedOn]) -> None:
        self._served = served
        self.probes: list[tuple[dt.date, Grouping]] = []
        self.queries: list[QueryWindow] = []

    def serves(self, day: dt.date, grouping: Grouping) -> bool:
        return all(served(day) for subset, served in self._served.items() if subset <= grouping)

    def finest(self, day: dt.date) -> Grouping:
        return next(grouping for grouping in GROUPINGS if grouping == _LEAST or self.serves(day, grouping))

    def probe(self, day: dt.date, grouping: Grouping) -> bool:
        self.probes.append((day, grouping))
        return self.serves(day, grouping)

    def query(self, query: QueryWindow) -> bool:
        self.queries.append(query)
        return all(self.serves(day, query.grouping) for day in query.days)

    def read(
        self, days: DayRange, refusals: Iterable[RefusedGrouping] = ()
    ) -> tuple[dict[dt.date, Grouping], list[RefusedGrouping]]:
        """Run a plan to its end, as the synchronization does. Return the grouping of each day and the refusals."""
        planner = GroupingPlanner(refusals, probe=self.probe, now=_NOW)
        work, read = merge_query_windows(planner.plan(days)), dict[dt.date, Grouping]()
        while work:
            query = work.pop()
            if self.query(query):
                assert not read.keys() & set(query.days)
                read.update(dict.fromkeys(query.days, query.grouping))
            else:
                work = merge_query_windows(work + planner.replan(query))
            assert len(self.queries) < 4 * len(days) + 20, "the plan does not end"
        return read, planner.refusals

    def expected(self, days: DayRange) -> dict[dt.date, Grouping]:
        return {day: self.finest(day) for day in days}


def always(_: dt.date) -> bool:
    return True


def never(_: dt.date) -> bool:
    return False


def since(first: dt.date) -> ServedOn:
    return lambda day: day >= first


def until(last: dt.date) -> ServedOn:
    return lambda day: day <= last


def except_between(first: dt.date, last: dt.date) -> ServedOn:
    return lambda day: not first <= day <= last


def max_probes(days: DayRange) -> int:
    """Return the number of probes for a bisection of three groupings on both sides of the known date."""
    return 1 + 2 * 3 * (2 + len(days).bit_length())


_dates = st.dates(_TODAY - 420 * ONE_DAY, _TODAY + 3 * ONE_DAY)


def _ranges(*, ended: st.SearchStrategy[int]) -> st.SearchStrategy[DayRange]:
    """Generate ranges of up to a year. `ended` is the number of days since the end of the range."""
    return st.builds(
        lambda ago, more: DayRange(_TODAY - (ago + more) * ONE_DAY, _TODAY - ago * ONE_DAY),
        ended,
        st.integers(0, 364),
    )


_past = _ranges(ended=st.integers(10, 100))
_recent = _ranges(ended=st.integers(0, 9))


def _monotone(direction: Callable[[dt.date], ServedOn]) -> st.SearchStrategy[Api]:
    api_behavior = st.one_of(st.just(always), st.just(never), _dates.map(direction))
    return st.builds(
        lambda *each: Api(dict(zip(GROUPINGS[:3], each, strict=True))), api_behavior, api_behavior, api_behavior
    )


def _spans_the_known_date(days: DayRange) -> bool:
    return API_KEY_GROUPING_SINCE in days and API_KEY_GROUPING_SINCE - ONE_DAY in days


def _assert_finest_grouping_per_day(api: Api, days: DayRange) -> None:
    read, _ = api.read(days)
    assert read == api.expected(days)
    assert len(api.probes) <= max_probes(days)


@given(_monotone(since), _past)
def test_grouping_that_starts_on_some_day_is_used_from_that_day(api: Api, days: DayRange) -> None:
    _assert_finest_grouping_per_day(api, days)


@given(_monotone(since), _recent)
@example(Api({}), _A_YEAR)
@example(Api({_KEYS: never, _USERS: never}), _A_YEAR)
@example(Api({_KEYS: since(API_KEY_GROUPING_SINCE), _USERS: never}), _A_YEAR)
@example(Api({_KEYS: since(_TODAY - 2 * ONE_DAY)}), _MONTH)
def test_grouping_that_starts_this_week_is_used_from_that_day(api: Api, days: DayRange) -> None:
    _assert_finest_grouping_per_day(api, days)


@given(_monotone(until), _past | _recent)
@example(Api({_KEYS: until(_TODAY - 20 * ONE_DAY)}), _MONTH)
def test_grouping_that_ends_on_some_day_is_used_until_that_day(api: Api, days: DayRange) -> None:
    assume(not _spans_the_known_date(days))
    _assert_finest_grouping_per_day(api, days)


@given(_monotone(until), _past | _recent)
@example(Api({_KEYS: until(API_KEY_GROUPING_SINCE - 60 * ONE_DAY)}), _A_YEAR)
@example(
    Api({_KEYS: until(API_KEY_GROUPING_SINCE - 31 * ONE_DAY)}),
    DayRange(API_KEY_GROUPING_SINCE - 31 * ONE_DAY, _A_YEAR.last),
)
def test_grouping_that_ends_is_used_until_that_day_across_the_known_date(api: Api, days: DayRange) -> None:
    assume(_spans_the_known_date(days))
    _assert_finest_grouping_per_day(api, days)


_gaps = st.builds(
    lambda first, more, grouping: Api({grouping: except_between(first, first + more * ONE_DAY)}),
    _dates,
    st.integers(0, 20),
    st.sampled_from([_EVERYTHING, _KEYS, _USERS]),
)


def _only_the_days_of_the_gap_lose_detail(api: Api, days: DayRange) -> None:
    read, _ = api.read(days)
    assert read == api.expected(days)
    assert len(api.probes) + len(api.queries) <= 4 * len(days) + 20


@given(_gaps, _past)
@example(
    Api({_KEYS: except_between(_TODAY - 20 * ONE_DAY, _TODAY - 20 * ONE_DAY)}),
    DayRange(_A_YEAR.first, _TODAY - 12 * ONE_DAY),
)
def test_only_the_days_of_a_gap_are_read_coarsely(api: Api, days: DayRange) -> None:
    assume(not _spans_the_known_date(days))
    _only_the_days_of_the_gap_lose_detail(api, days)


@given(_gaps, _past)
@example(Api({_KEYS: except_between(API_KEY_GROUPING_SINCE - ONE_DAY, API_KEY_GROUPING_SINCE - ONE_DAY)}), _A_YEAR)
def test_only_the_days_of_a_gap_around_the_known_date_are_read_coarsely(api: Api, days: DayRange) -> None:
    assume(_spans_the_known_date(days))
    _only_the_days_of_the_gap_lose_detail(api, days)


@given(_gaps, _recent)
@example(
    Api({_KEYS: except_between(_TODAY - 4 * ONE_DAY, _TODAY - 4 * ONE_DAY)}), DayRange(_TODAY - 7 * ONE_DAY, _TODAY)
)
def test_only_the_days_of_a_gap_in_this_week_are_read_coarsely(api: Api, days: DayRange) -> None:
    assume(not _spans_the_known_date(days))
    _only_the_days_of_the_gap_lose_detail(api, days)


@given(_past | _recent, _dates, st.integers(0, 20))
def test_days_around_a_short_served_range_are_all_read(days: DayRange, first: dt.date, more: int) -> None:
    # Only a probe of every day finds each short served range, so some are missed. No refused grouping is ever used.
    last = first + more * ONE_DAY
    api = Api({_KEYS: lambda day: first <= day <= last})
    read, _ = api.read(days)
    assert read.keys() == set(days)
    assert all(api.serves(day, grouping) for day, grouping in read.items())
    assert len(api.probes) <= max_probes(days)


@pytest.mark.parametrize(
    ("served", "requests"), [({}, 1), ({_EVERYTHING: never}, 4), ({_KEYS: never, _USERS: never}, 12)]
)
def test_month_with_one_grouping_needs_few_requests(served: Mapping[Grouping, ServedOn], requests: int) -> None:
    api = Api(served)
    read, _ = api.read(_MONTH)
    assert read == api.expected(_MONTH)
    assert len(api.probes) + len(api.queries) <= requests


def test_known_date_of_api_keys_avoids_the_bisection() -> None:
    api = Api({_KEYS: since(API_KEY_GROUPING_SINCE)})
    read, _ = api.read(_A_YEAR)
    assert read == api.expected(_A_YEAR)
    assert API_KEY_GROUPING_SINCE - ONE_DAY in {day for day, _ in api.probes}
    assert len(api.probes) + len(api.queries) <= 6


def test_range_is_split_only_where_the_grouping_changes() -> None:
    api = Api({_KEYS: since(API_KEY_GROUPING_SINCE), _USERS: since(dt.date(2026, 2, 1))})
    _, refusals = api.read(_A_YEAR)
    assert GroupingPlanner(refusals, probe=api.probe, now=_NOW).plan(_A_YEAR) == [
        QueryWindow(DayRange(_A_YEAR.first, dt.date(2025, 12, 5)), _LEAST),
        QueryWindow(DayRange(dt.date(2025, 12, 6), dt.date(2026, 1, 31)), _KEYS),
        QueryWindow(DayRange(dt.date(2026, 2, 1), _TODAY), _EVERYTHING),
    ]


@given(_monotone(since) | _monotone(until), _past | _recent)
def test_second_plan_with_stored_refusals_needs_no_probe(api: Api, days: DayRange) -> None:
    assume(not _spans_the_known_date(days))
    first, refusals = api.read(days)
    api.probes.clear()
    api.queries.clear()
    second, second_refusals = api.read(days, refusals)
    assert (second, second_refusals) == (first, refusals)
    assert api.probes == []
    assert all(api.query(query) for query in list(api.queries))


@pytest.mark.parametrize(
    ("served", "probes"),
    [({}, 1), ({_KEYS: since(API_KEY_GROUPING_SINCE)}, 0), ({_KEYS: since(dt.date(2026, 1, 1))}, 0)],
    ids=["everything served", "the known date", "a later date"],
)
def test_second_plan_across_the_known_date_needs_at_most_one_probe(
    served: Mapping[Grouping, ServedOn], probes: int
) -> None:
    api = Api(served)
    _, refusals = api.read(_A_YEAR)
    api.probes.clear()
    api.read(_A_YEAR, refusals)
    assert len(api.probes) == probes


def _refusal(age: dt.timedelta, grouping: Grouping = _KEYS) -> RefusedGrouping:
    return RefusedGrouping(grouping, dt.date(2026, 2, 1), None, _NOW - age)


def test_refusal_is_valid_for_one_week() -> None:
    api = Api({})
    stored = [_refusal(REFUSAL_TTL - dt.timedelta(seconds=1))]
    planner = GroupingPlanner(stored, probe=api.probe, now=_NOW)
    assert planner.plan(_MONTH) == [QueryWindow(_MONTH, _USERS)]
    assert (api.probes, planner.refusals) == ([], stored)


def test_expired_refusal_is_probed_on_the_newest_day_and_dropped_if_served() -> None:
    api = Api({})
    planner = GroupingPlanner([_refusal(REFUSAL_TTL)], probe=api.probe, now=_NOW)
    assert planner.plan(_MONTH) == [QueryWindow(_MONTH, _EVERYTHING)]
    assert (api.probes, planner.refusals) == ([(_TODAY, _KEYS)], [])


def test_expired_refusal_that_is_refused_again_is_renewed() -> None:
    api = Api({_KEYS: never})
    planner = GroupingPlanner([_refusal(REFUSAL_TTL)], probe=api.probe, now=_NOW)
    assert planner.plan(_MONTH) == [QueryWindow(_MONTH, _USERS)]
    assert planner.refusals == [_refusal(dt.timedelta(0))]
    planner.plan(_MONTH)
    assert api.probes == [(_TODAY, _KEYS)]


def test_expired_refusal_of_other_days_is_not_probed() -> None:
    api = Api({})
    old = RefusedGrouping(_KEYS, None, _MONTH.first - ONE_DAY, _NOW - 10 * REFUSAL_TTL)
    planner = GroupingPlanner([old], probe=api.probe, now=_NOW)
    assert planner.plan(_MONTH) == [QueryWindow(_MONTH, _EVERYTHING)]
    assert (api.probes, planner.refusals) == ([], [old])


def test_refusal_without_ends_covers_every_day() -> None:
    assert RefusedGrouping(_KEYS, None, None, _NOW).covers(dt.date(1970, 1, 1))
    planner = GroupingPlanner([RefusedGrouping(_KEYS, None, None, _NOW)], probe=Api({}).probe, now=_NOW)
    assert planner.plan(_A_YEAR) == [QueryWindow(_A_YEAR, _USERS)]


def test_refused_subset_excludes_finer_groupings_only() -> None:
    for refused, left in ((_EVERYTHING, _KEYS), (_KEYS, _USERS), (_USERS, _KEYS)):
        planner = GroupingPlanner([_refusal(dt.timedelta(0), refused)], probe=Api({}).probe, now=_NOW)
        assert planner.plan(DayRange(_TODAY, _TODAY)) == [QueryWindow(DayRange(_TODAY, _TODAY), left)]


def test_coarsest_grouping_cannot_be_replanned() -> None:
    planner = GroupingPlanner([], probe=Api({}).probe, now=_NOW)
    with pytest.raises(ValueError, match="coarsest"):
        planner.replan(QueryWindow(_MONTH, _LEAST))


def test_failed_probe_keeps_all_refusals() -> None:
    def fails(_day: dt.date, _grouping: Grouping) -> bool:
        raise errors.ServerError("the server returned status 503", status=503)

    planner = GroupingPlanner([_refusal(REFUSAL_TTL)], probe=fails, now=_NOW)
    with pytest.raises(errors.ServerError):
        planner.plan(_MONTH)
    assert planner.refusals == [_refusal(REFUSAL_TTL)]
