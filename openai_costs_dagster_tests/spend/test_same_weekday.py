"""A day is held against the same weekday of the past weeks, and what is usual is never flagged."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.spend.same_weekday import ENOUGH_WEEKS, WEEKS, Verdict, judge

_DAY = dt.date(2026, 3, 10)  # a Tuesday

_spend = st.decimals(0, 10_000, places=2, allow_nan=False, allow_infinity=False)
_weeks = st.lists(_spend, min_size=ENOUGH_WEEKS, max_size=WEEKS)


def history(today: Decimal | int | str, *weeks: Decimal | int | str) -> dict[dt.date, Decimal]:
    """The day and the same weekday before it, the newest week first."""
    days = {_DAY - dt.timedelta(weeks=number): Decimal(value) for number, value in enumerate(weeks, 1)}
    return {_DAY: Decimal(today), **days}


def settled(today: Decimal | int | str, *weeks: Decimal | int | str) -> Verdict:
    return judge(_DAY, history(today, *weeks), provisional=False)


def test_a_rise_beyond_what_is_usual_is_flagged_with_what_was_expected() -> None:
    verdict = settled(500, 100, 102, 98, 101, 99, 100, 103, 97)
    assert verdict.flagged
    assert (verdict.day, verdict.actual, verdict.expected, verdict.impact) == (_DAY, *map(Decimal, (500, 100, 400)))
    assert verdict.lower is not None
    assert verdict.upper is not None
    assert verdict.lower < 97
    assert 103 < verdict.upper < 500
    assert "Tuesday" in verdict.explanation
    assert "$500.00" in verdict.explanation
    assert "+400%" in verdict.explanation


def test_a_drop_is_flagged_on_a_settled_day_and_never_on_one_that_still_grows() -> None:
    weeks = (100, 102, 98, 101)
    assert settled(1, *weeks).flagged
    assert not judge(_DAY, history(1, *weeks), provisional=True).flagged


def test_a_rise_is_flagged_on_a_day_that_still_grows() -> None:
    verdict = judge(_DAY, history(500, 100, 102, 98, 101), provisional=True)
    assert verdict.flagged
    assert "so far" in verdict.explanation


@pytest.mark.parametrize("weeks", [[], [100], [100, 100]])
def test_too_little_history_is_not_judged_and_says_so(weeks: list[int]) -> None:
    verdict = settled(10**6, *weeks)
    assert (verdict.flagged, verdict.expected, verdict.lower, verdict.upper) == (False, None, None, None)
    assert verdict.impact == 0
    assert f"{len(weeks)} of {ENOUGH_WEEKS} weeks" in verdict.explanation


@given(_weeks, st.booleans())
def test_a_day_like_all_before_it_is_never_flagged(weeks: list[Decimal], provisional: bool) -> None:
    usual = weeks[0]
    assert not judge(_DAY, history(usual, *[usual] * len(weeks)), provisional=provisional).flagged


@given(st.decimals(-1000, -1, places=2), st.booleans())
def test_a_day_of_credits_like_all_before_it_is_never_flagged(credit: Decimal, provisional: bool) -> None:
    # Credits make amounts, and so whole days, negative.
    verdict = judge(_DAY, history(credit, *[credit] * 8), provisional=provisional)
    assert not verdict.flagged
    assert verdict.lower is not None
    assert verdict.expected is not None
    assert verdict.upper is not None
    assert verdict.lower <= verdict.expected <= verdict.upper


@given(_spend, _weeks, st.sampled_from(["low", "medium", "high"]))
def test_the_range_holds_what_was_expected_and_decides(actual: Decimal, weeks: list[Decimal], sensitivity: str) -> None:
    verdict = judge(_DAY, history(actual, *weeks), provisional=False, sensitivity=sensitivity)
    assert verdict.lower is not None
    assert verdict.expected is not None
    assert verdict.upper is not None
    assert 0 <= verdict.lower <= verdict.expected <= verdict.upper
    assert verdict.flagged == (not verdict.lower <= actual <= verdict.upper)
    assert min(weeks) <= verdict.expected <= max(weeks)


@given(_spend, _weeks)
def test_nothing_below_what_was_expected_is_said_of_a_provisional_day(actual: Decimal, weeks: list[Decimal]) -> None:
    verdict = judge(_DAY, history(actual, *weeks), provisional=True)
    assert verdict.expected is not None
    assert not verdict.flagged or actual > verdict.expected


@given(_spend, _weeks)
def test_what_a_lower_sensitivity_flags_a_higher_one_flags_too(actual: Decimal, weeks: list[Decimal]) -> None:
    low, medium, high = (
        judge(_DAY, history(actual, *weeks), provisional=False, sensitivity=name).flagged
        for name in ("low", "medium", "high")
    )
    assert low <= medium <= high


@given(_spend, _weeks, _spend)
def test_a_difference_below_the_minimum_impact_is_nobodys_time(
    actual: Decimal, weeks: list[Decimal], minimum: Decimal
) -> None:
    verdict = judge(_DAY, history(actual, *weeks), provisional=False, minimum_impact=minimum)
    assert not verdict.flagged or abs(verdict.impact) >= minimum


@given(_spend, _weeks, st.dictionaries(st.integers(1, 6), _spend), st.lists(_spend, max_size=4))
def test_other_weekdays_and_what_lies_further_back_or_ahead_play_no_part(
    actual: Decimal, weeks: list[Decimal], other_days: dict[int, Decimal], older: list[Decimal]
) -> None:
    known = history(actual, *weeks)
    noise = {_DAY - dt.timedelta(days=number): value for number, value in other_days.items()}
    noise |= {_DAY - dt.timedelta(weeks=WEEKS + number): value for number, value in enumerate(older, 1)}
    noise[_DAY + dt.timedelta(weeks=1)] = Decimal(10**6)
    assert judge(_DAY, known | noise, provisional=False) == judge(_DAY, known, provisional=False)


@pytest.mark.parametrize("odd", [0, 10_000])
def test_one_odd_week_hides_nothing_and_flags_nothing(odd: int) -> None:
    weeks = (100, odd, 98, 101, 99, 100, 103, 97)
    assert settled(500, *weeks).flagged
    assert not settled(101, *weeks).flagged


def test_a_weekday_that_used_to_be_quiet_is_flagged_when_it_is_not() -> None:
    verdict = settled(50, 0, 0, 0, 0)
    assert (verdict.flagged, verdict.expected, verdict.lower) == (True, Decimal(0), Decimal(0))
    assert "%" not in verdict.explanation


@given(_spend, _weeks)
def test_amounts_of_34_digits_are_judged_like_their_neighbours(actual: Decimal, weeks: list[Decimal]) -> None:
    tiny = Decimal("1E-30")
    rough = judge(_DAY, history(actual, *weeks), provisional=False)
    fine = judge(_DAY, history(actual + tiny, *(week + tiny for week in weeks)), provisional=False)
    assert fine.expected is not None
    assert rough.expected is not None
    assert abs(fine.expected - rough.expected) < Decimal("1E-20")
