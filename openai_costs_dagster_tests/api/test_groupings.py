"""Every day is asked for in the finest grouping that the API serves that day, found with few probes.

The model here is what the live API was seen to do: a query over a range is refused where one of its days is, and a
grouping is refused where a part of it is.
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
    RefusedGrouping,
    merge_query_windows,
)
from openai_costs_dagster.cost_records import GROUPINGS, Grouping
from openai_costs_dagster.days import ONE_DAY, DayRange

_EVERYTHING, _KEYS, _USERS, _LEAST = GROUPINGS
_NOW = dt.datetime(2026, 3, 11, 14, 30, tzinfo=dt.UTC)
_TODAY = _NOW.date()
_A_YEAR = DayRange(_TODAY - 364 * ONE_DAY, _TODAY)
_MONTH = DayRange(_TODAY - 29 * ONE_DAY, _TODAY)

ServedOn = Callable[[dt.date], bool]


class Api:
    """What an organization is served, and how often it was asked."""

    def __init__(self, served: Mapping[Grouping, ServedOn]) -> None:
        self._served = served
        self.probes: list[tuple[dt.date, Grouping]] = []
        self.queries: list[QueryWindow] = []

    def serves(self, day: dt.date, grouping: Grouping) -> bool:
        return all(served(day) for part, served in self._served.items() if part <= grouping)

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
        """Drives a plan to its end, as ingestion does: what each day was read with, and what is remembered."""
        detail = GroupingPlanner(refusals, probe=self.probe, now=_NOW)
        work, read = merge_query_windows(detail.plan(days)), dict[dt.date, Grouping]()
        while work:
            query = work.pop()
            if self.query(query):
                assert not read.keys() & set(query.days)
                read.update(dict.fromkeys(query.days, query.grouping))
            else:
                work = merge_query_windows(work + detail.replan(query))
            assert len(self.queries) < 4 * len(days) + 20, "it does not end"
        return read, detail.refusals

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


def but(first: dt.date, last: dt.date) -> ServedOn:
    return lambda day: not first <= day <= last


def few(days: DayRange) -> int:
    """Probes that bisecting each of three groupings costs, on both sides of the known date."""
    return 1 + 2 * 3 * (2 + len(days).bit_length())


_dates = st.dates(_TODAY - 420 * ONE_DAY, _TODAY + 3 * ONE_DAY)


def _ranges(*, ended: st.SearchStrategy[int]) -> st.SearchStrategy[DayRange]:
    """Up to a year of days that ended so many days ago."""
    return st.builds(
        lambda ago, more: DayRange(_TODAY - (ago + more) * ONE_DAY, _TODAY - ago * ONE_DAY),
        ended,
        st.integers(0, 364),
    )


_past = _ranges(ended=st.integers(10, 100))
_recent = _ranges(ended=st.integers(0, 9))


def _monotone(direction: Callable[[dt.date], ServedOn]) -> st.SearchStrategy[Api]:
    one = st.one_of(st.just(always), st.just(never), _dates.map(direction))
    return st.builds(lambda *each: Api(dict(zip(GROUPINGS[:3], each, strict=True))), one, one, one)


def _spans_the_known_date(days: DayRange) -> bool:
    return API_KEY_GROUPING_SINCE in days and API_KEY_GROUPING_SINCE - ONE_DAY in days


def _every_day_is_had_in_its_finest_grouping(api: Api, days: DayRange) -> None:
    read, _ = api.read(days)
    assert read == api.expected(days)
    assert len(api.probes) <= few(days)


@given(_monotone(since), _past)
def test_detail_that_began_on_some_day_is_had_from_that_day_on(api: Api, days: DayRange) -> None:
    _every_day_is_had_in_its_finest_grouping(api, days)


@given(_monotone(since), _recent)
@example(Api({}), _A_YEAR)
@example(Api({_KEYS: never, _USERS: never}), _A_YEAR)
@example(Api({_KEYS: since(API_KEY_GROUPING_SINCE), _USERS: never}), _A_YEAR)
@example(Api({_KEYS: since(_TODAY - 2 * ONE_DAY)}), _MONTH)
def test_detail_that_began_this_week_is_had_from_that_day_on(api: Api, days: DayRange) -> None:
    _every_day_is_had_in_its_finest_grouping(api, days)


@given(_monotone(until), _past | _recent)
@example(Api({_KEYS: until(_TODAY - 20 * ONE_DAY)}), _MONTH)
def test_detail_that_was_withdrawn_on_some_day_is_had_until_that_day(api: Api, days: DayRange) -> None:
    assume(not _spans_the_known_date(days))
    _every_day_is_had_in_its_finest_grouping(api, days)


@given(_monotone(until), _past | _recent)
@example(Api({_KEYS: until(API_KEY_GROUPING_SINCE - 60 * ONE_DAY)}), _A_YEAR)
@example(
    Api({_KEYS: until(API_KEY_GROUPING_SINCE - 31 * ONE_DAY)}),
    DayRange(API_KEY_GROUPING_SINCE - 31 * ONE_DAY, _A_YEAR.last),
)
def test_detail_that_was_withdrawn_is_had_until_that_day_over_the_known_date_as_well(api: Api, days: DayRange) -> None:
    assume(_spans_the_known_date(days))
    _every_day_is_had_in_its_finest_grouping(api, days)


_gaps = st.builds(
    lambda first, more, grouping: Api({grouping: but(first, first + more * ONE_DAY)}),
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
    Api({_KEYS: but(_TODAY - 20 * ONE_DAY, _TODAY - 20 * ONE_DAY)}), DayRange(_A_YEAR.first, _TODAY - 12 * ONE_DAY)
)
def test_only_the_days_of_a_gap_lose_detail(api: Api, days: DayRange) -> None:
    assume(not _spans_the_known_date(days))
    _only_the_days_of_the_gap_lose_detail(api, days)


@given(_gaps, _past)
@example(Api({_KEYS: but(API_KEY_GROUPING_SINCE - ONE_DAY, API_KEY_GROUPING_SINCE - ONE_DAY)}), _A_YEAR)
def test_only_the_days_of_a_gap_around_the_known_date_lose_detail(api: Api, days: DayRange) -> None:
    assume(_spans_the_known_date(days))
    _only_the_days_of_the_gap_lose_detail(api, days)


@given(_gaps, _recent)
@example(Api({_KEYS: but(_TODAY - 4 * ONE_DAY, _TODAY - 4 * ONE_DAY)}), DayRange(_TODAY - 7 * ONE_DAY, _TODAY))
def test_only_the_days_of_a_gap_in_this_week_lose_detail(api: Api, days: DayRange) -> None:
    assume(not _spans_the_known_date(days))
    _only_the_days_of_the_gap_lose_detail(api, days)


@given(_past | _recent, _dates, st.integers(0, 20))
def test_an_island_of_detail_is_read_whole_whatever_was_found_of_it(days: DayRange, first: dt.date, more: int) -> None:
    # Nothing but a probe of every day finds all islands; none may be read with more than it is served.
    last = first + more * ONE_DAY
    api = Api({_KEYS: lambda day: first <= day <= last})
    read, _ = api.read(days)
    assert read.keys() == set(days)
    assert all(api.serves(day, grouping) for day, grouping in read.items())
    assert len(api.probes) <= few(days)


@pytest.mark.parametrize(
    ("served", "requests"), [({}, 1), ({_EVERYTHING: never}, 4), ({_KEYS: never, _USERS: never}, 12)]
)
def test_a_month_that_is_served_alike_costs_few_requests(served: Mapping[Grouping, ServedOn], requests: int) -> None:
    api = Api(served)
    read, _ = api.read(_MONTH)
    assert read == api.expected(_MONTH)
    assert len(api.probes) + len(api.queries) <= requests


def test_the_documented_date_of_keys_spares_the_bisection() -> None:
    api = Api({_KEYS: since(API_KEY_GROUPING_SINCE)})
    read, _ = api.read(_A_YEAR)
    assert read == api.expected(_A_YEAR)
    assert API_KEY_GROUPING_SINCE - ONE_DAY in {day for day, _ in api.probes}
    assert len(api.probes) + len(api.queries) <= 6


def test_a_range_is_asked_for_in_as_few_queries_as_its_groupings_allow() -> None:
    api = Api({_KEYS: since(API_KEY_GROUPING_SINCE), _USERS: since(dt.date(2026, 2, 1))})
    _, refusals = api.read(_A_YEAR)
    assert GroupingPlanner(refusals, probe=api.probe, now=_NOW).plan(_A_YEAR) == [
        QueryWindow(DayRange(_A_YEAR.first, dt.date(2025, 12, 5)), _LEAST),
        QueryWindow(DayRange(dt.date(2025, 12, 6), dt.date(2026, 1, 31)), _KEYS),
        QueryWindow(DayRange(dt.date(2026, 2, 1), _TODAY), _EVERYTHING),
    ]


@given(_monotone(since) | _monotone(until), _past | _recent)
def test_what_was_learned_makes_the_second_plan_free(api: Api, days: DayRange) -> None:
    assume(not _spans_the_known_date(days))
    first, refusals = api.read(days)
    api.probes.clear()
    api.queries.clear()
    second, kept = api.read(days, refusals)
    assert (second, kept) == (first, refusals)
    assert api.probes == []
    assert all(api.query(query) for query in list(api.queries))


@pytest.mark.parametrize(
    ("served", "probes"),
    [({}, 1), ({_KEYS: since(API_KEY_GROUPING_SINCE)}, 0), ({_KEYS: since(dt.date(2026, 1, 1))}, 0)],
    ids=["what is served is asked again", "the known date", "a later date"],
)
def test_the_second_plan_over_the_known_date_asks_once_at_most(
    served: Mapping[Grouping, ServedOn], probes: int
) -> None:
    api = Api(served)
    _, refusals = api.read(_A_YEAR)
    api.probes.clear()
    api.read(_A_YEAR, refusals)
    assert len(api.probes) == probes


def _refusal(age: dt.timedelta, grouping: Grouping = _KEYS) -> RefusedGrouping:
    return RefusedGrouping(grouping, dt.date(2026, 2, 1), None, _NOW - age)


def test_a_refusal_is_believed_for_a_week() -> None:
    api = Api({})
    remembered = [_refusal(REFUSAL_TTL - dt.timedelta(seconds=1))]
    detail = GroupingPlanner(remembered, probe=api.probe, now=_NOW)
    assert detail.plan(_MONTH) == [QueryWindow(_MONTH, _USERS)]
    assert (api.probes, detail.refusals) == ([], remembered)


def test_an_older_refusal_is_tried_anew_on_the_newest_day_and_forgotten_where_it_is_served() -> None:
    api = Api({})
    detail = GroupingPlanner([_refusal(REFUSAL_TTL)], probe=api.probe, now=_NOW)
    assert detail.plan(_MONTH) == [QueryWindow(_MONTH, _EVERYTHING)]
    assert (api.probes, detail.refusals) == ([(_TODAY, _KEYS)], [])


def test_an_older_refusal_that_still_holds_is_believed_for_another_week() -> None:
    api = Api({_KEYS: never})
    detail = GroupingPlanner([_refusal(REFUSAL_TTL)], probe=api.probe, now=_NOW)
    assert detail.plan(_MONTH) == [QueryWindow(_MONTH, _USERS)]
    assert detail.refusals == [_refusal(dt.timedelta(0))]
    detail.plan(_MONTH)
    assert api.probes == [(_TODAY, _KEYS)]


def test_an_older_refusal_of_other_days_is_left_alone() -> None:
    api = Api({})
    old = RefusedGrouping(_KEYS, None, _MONTH.first - ONE_DAY, _NOW - 10 * REFUSAL_TTL)
    detail = GroupingPlanner([old], probe=api.probe, now=_NOW)
    assert detail.plan(_MONTH) == [QueryWindow(_MONTH, _EVERYTHING)]
    assert (api.probes, detail.refusals) == ([], [old])


def test_a_refusal_without_ends_covers_every_day() -> None:
    assert RefusedGrouping(_KEYS, None, None, _NOW).covers(dt.date(1970, 1, 1))
    detail = GroupingPlanner([RefusedGrouping(_KEYS, None, None, _NOW)], probe=Api({}).probe, now=_NOW)
    assert detail.plan(_A_YEAR) == [QueryWindow(_A_YEAR, _USERS)]


def test_a_refused_part_refuses_what_holds_it_and_nothing_coarser() -> None:
    for refused, left in ((_EVERYTHING, _KEYS), (_KEYS, _USERS), (_USERS, _KEYS)):
        detail = GroupingPlanner([_refusal(dt.timedelta(0), refused)], probe=Api({}).probe, now=_NOW)
        assert detail.plan(DayRange(_TODAY, _TODAY)) == [QueryWindow(DayRange(_TODAY, _TODAY), left)]


def test_there_is_nothing_below_the_coarsest_grouping() -> None:
    detail = GroupingPlanner([], probe=Api({}).probe, now=_NOW)
    with pytest.raises(ValueError, match="coarsest"):
        detail.replan(QueryWindow(_MONTH, _LEAST))


def test_a_probe_that_fails_forgets_nothing() -> None:
    def fails(_day: dt.date, _grouping: Grouping) -> bool:
        raise errors.ServerError("the server returned status 503", status=503)

    detail = GroupingPlanner([_refusal(REFUSAL_TTL)], probe=fails, now=_NOW)
    with pytest.raises(errors.ServerError):
        detail.plan(_MONTH)
    assert detail.refusals == [_refusal(REFUSAL_TTL)]
