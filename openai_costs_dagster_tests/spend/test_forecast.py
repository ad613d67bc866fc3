"""Tests of forecasts: the exact spend so far plus an estimate of the remaining days of a period."""

from __future__ import annotations

import ast
import builtins
import calendar
import datetime as dt
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.spend import forecast as module
from openai_costs_dagster.spend.forecast import Forecast, forecast_period

from .strategies import LARGEST, SMALLEST, ZERO_OF_THE_API

Spend = dict[dt.date, Decimal]

_CENT = Decimal("0.01")
_FIRST, _LAST = dt.date(2026, 3, 1), dt.date(2026, 3, 31)
_TODAY = dt.date(2026, 3, 10)
_NOTHING = Forecast(Decimal(0), Decimal(0), Decimal(0))

_dollars = st.decimals(0, 10_000, places=10)
_signed = st.decimals(-1_000, 10_000, places=10)
_days = st.dates(dt.date(2025, 9, 1), _LAST)


def histories(amounts: st.SearchStrategy[Decimal], least: int = 1) -> st.SearchStrategy[Spend]:
    """Generate spend on some days between September 2025 and March 2026."""
    return st.dictionaries(_days, amounts, min_size=least, max_size=60)


def every_day(cost: Callable[[dt.date], float], days: int, to: dt.date = _TODAY) -> Spend:
    """Return the spend of `days` consecutive days, of which `to` is the last."""
    return {day: Decimal(str(round(cost(day), 4))) for day in (to - age * ONE_DAY for age in range(days))}


def forecast(
    spend: Mapping[dt.date, Decimal], first: dt.date = _FIRST, last: dt.date = _LAST, known_to: dt.date = _TODAY
) -> Forecast:
    found = forecast_period(spend, first, last, known_to)
    assert found is not None
    return found


def exact(spend: Mapping[dt.date, Decimal], first: dt.date, last: dt.date) -> Fraction:
    return sum((Fraction(amount) for day, amount in spend.items() if first <= day <= last), Fraction(0))


def is_close(value: Decimal | Fraction, expected: Decimal | Fraction | float, share: float) -> bool:
    return math.isclose(value, expected, rel_tol=share)


def wave(day: dt.date) -> float:
    """Return a factor between 0.9 and 1.1 that repeats every nine days, which is no period of the forecast."""
    return 1 + math.sin(day.toordinal() * 0.7) / 10


def quiet_weekends(day: dt.date) -> float:
    return 0 if day.weekday() >= 5 else 100


# Exact spend so far


@given(histories(_signed))
def test_finished_period_equals_its_spend(spend: Spend) -> None:
    assume(min(spend) <= _LAST)
    found = forecast(spend, known_to=_LAST)
    assert found.expected == found.low == found.high
    assert Fraction(found.expected) == exact(spend, _FIRST, _LAST)
    assert forecast(spend, known_to=_LAST + 40 * ONE_DAY) == found


@given(histories(_signed), _days)
def test_spend_is_exact_and_the_estimate_is_in_cents(spend: Spend, known_to: dt.date) -> None:
    assume(min(spend) <= known_to)
    spent = exact(spend, _FIRST, min(known_to, _LAST))
    for value in forecast(spend, known_to=known_to):
        cents = (Fraction(value) - spent) * 100
        assert cents.denominator == 1


def test_34_digits_and_zero_with_exponent_are_exact() -> None:
    precise = Decimal("1234567890123456789012.345678901234")
    spend = {_FIRST: precise, _FIRST + ONE_DAY: ZERO_OF_THE_API, _FIRST + 2 * ONE_DAY: Decimal("0.000000000001")}
    assert str(forecast(spend, last=_FIRST + 2 * ONE_DAY).expected) == "1234567890123456789012.345678901235"


@pytest.mark.parametrize("amount", [LARGEST, SMALLEST, -LARGEST, -SMALLEST])
def test_extreme_amounts_can_be_forecast(amount: Decimal) -> None:
    found = forecast({_FIRST + number * ONE_DAY: amount for number in range(10)})
    assert found.low <= found.expected <= found.high
    assert all(value.is_finite() for value in found)


@given(histories(_dollars), _days)
def test_forecast_without_credits_is_at_least_the_spend(spend: Spend, known_to: dt.date) -> None:
    assume(min(spend) <= known_to)
    assert Fraction(forecast(spend, known_to=known_to).low) >= exact(spend, _FIRST, min(known_to, _LAST))


# Properties of every forecast


@given(histories(_signed), _days)
def test_expected_is_within_the_interval(spend: Spend, known_to: dt.date) -> None:
    assume(min(spend) <= known_to)
    found = forecast(spend, known_to=known_to)
    assert found.low <= found.expected <= found.high


@given(histories(_signed), _days, st.integers(-6, 6))
def test_forecast_scales_with_powers_of_ten(spend: Spend, known_to: dt.date, places: int) -> None:
    assume(min(spend) <= known_to)
    scaled = forecast({day: amount.scaleb(places) for day, amount in spend.items()}, known_to=known_to)
    for value, other in zip(forecast(spend, known_to=known_to), scaled, strict=True):
        assert abs(value.scaleb(places) - other) <= _CENT + _CENT.scaleb(places)


@given(histories(_dollars), _days, st.integers(2, 1_000))
def test_forecast_scales_with_any_factor(spend: Spend, known_to: dt.date, factor: int) -> None:
    assume(min(spend) <= known_to)
    multiplied = forecast({day: amount * factor for day, amount in spend.items()}, known_to=known_to)
    for value, other in zip(forecast(spend, known_to=known_to), multiplied, strict=True):
        assert math.isclose(value * factor, other, rel_tol=1e-9, abs_tol=0.01 * (factor + 1))


@given(histories(_signed))
def test_credits_are_forecast_like_charges_with_opposite_sign(spend: Spend) -> None:
    assume(min(spend) <= _TODAY)
    assume(sum(amount for day, amount in spend.items() if day <= _TODAY))
    found, turned = forecast(spend), forecast({day: -amount for day, amount in spend.items()})
    assert (-turned.expected, -turned.high, -turned.low) == found


@given(histories(_signed), histories(_signed), _days)
def test_days_after_known_to_are_ignored(spend: Spend, other: Spend, known_to: dt.date) -> None:
    assume(min(spend) <= known_to)
    known = {day: amount for day, amount in spend.items() if day <= known_to}
    future = {day: amount for day, amount in other.items() if day > known_to}
    assert forecast(known | future, known_to=known_to) == forecast(known, known_to=known_to)


@given(histories(_signed, least=2), st.randoms(use_true_random=False))
def test_order_of_the_mapping_is_irrelevant(spend: Spend, chance: object) -> None:
    assume(min(spend) <= _TODAY)
    items = list(spend.items())
    chance.shuffle(items)  # type: ignore[attr-defined]
    assert list(map(str, forecast(dict(items)))) == list(map(str, forecast(spend)))


@given(histories(_signed), st.sets(_days))
def test_missing_day_after_the_first_counts_as_zero_spend(spend: Spend, more: set[dt.date]) -> None:
    assume(min(spend) <= _TODAY)
    zeros = {day: Decimal(0) for day in more if day > min(spend)}
    assert forecast(zeros | spend) == forecast(spend)


# Known days and levels


@pytest.mark.parametrize("spend", [{}, {_TODAY + ONE_DAY: Decimal(5)}])
def test_forecast_without_known_spend_is_none(spend: Spend) -> None:
    assert forecast_period(spend, _FIRST, _LAST, _TODAY) is None


def test_period_that_ends_before_its_start_is_rejected() -> None:
    with pytest.raises(ValueError, match="cannot end"):
        forecast_period({_TODAY: Decimal(1)}, _LAST, _FIRST, _TODAY)


@pytest.mark.parametrize("days", [1, 2, 5, 9, 30, 100, 500])
def test_constant_spend_continues_after_any_history(days: int) -> None:
    found = forecast(every_day(lambda _: 10, days))
    assert found.expected == 10 * (min(days, 10) + 21)
    assert found.low < found.expected < found.high


def test_short_history_widens_the_interval() -> None:
    ratios = [(found.high - 100) / 210 for found in (forecast(every_day(lambda _: 10, d)) for d in (10, 40, 100, 400))]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] < Decimal("1.1")


def test_large_past_errors_widen_the_interval() -> None:
    def jumping(day: dt.date) -> float:
        return 100 * (1 + day.toordinal() // 20 % 2 * 2)

    easy, hard = (forecast(every_day(cost, 300)) for cost in (lambda day: 100 * wave(day), jumping))
    assert (hard.high - hard.low) / hard.expected > 2 * (easy.high - easy.low) / easy.expected


def test_zero_spend_is_forecast_as_zero() -> None:
    assert forecast(every_day(lambda _: 0, 200)) == _NOTHING
    assert forecast({_TODAY: ZERO_OF_THE_API}) == _NOTHING


def test_weekends_without_spend_are_forecast_as_zero() -> None:
    sunday = dt.date(2026, 5, 31)
    friday = sunday - 2 * ONE_DAY
    found = forecast(every_day(quiet_weekends, 200, friday), dt.date(2026, 5, 1), sunday, friday)
    assert 2_100 <= found.low <= found.expected <= found.high <= 2_105


def test_weekday_pattern_is_forecast_from_any_weekday() -> None:
    for number in range(7):
        known_to = _TODAY + number * ONE_DAY
        found = forecast(every_day(quiet_weekends, 200, known_to), known_to + ONE_DAY, known_to + 7 * ONE_DAY, known_to)
        assert is_close(found.expected, 500, 0.01)


def test_intermittent_spend_has_a_wide_interval_from_zero() -> None:
    history = every_day(lambda day: 100 if day.toordinal() % 11 == 0 else 0, 300)
    expected, low, high = (Fraction(value) - exact(history, _FIRST, _TODAY) for value in forecast(history))
    average = Fraction(21 * 100, 11)
    assert 0 <= low <= average <= high <= 5 * average
    assert average / 2 <= expected <= 2 * average


def test_new_level_is_forecast_two_weeks_after_a_jump() -> None:
    jump = _TODAY - 13 * ONE_DAY
    found = forecast(every_day(lambda day: (300 if day >= jump else 100) * wave(day), 200))
    assert is_close(found.expected, 31 * 300, 0.15)


def test_spend_that_stopped_three_weeks_ago_is_forecast_as_zero() -> None:
    stop = _TODAY - 20 * ONE_DAY
    found = forecast(every_day(lambda day: 100 if day <= stop else 0, 200))
    assert found.expected < 50
    assert found.high < 100


@pytest.mark.parametrize("age", range(0, 28, 3))
def test_single_spike_does_not_move_the_level(age: int) -> None:
    usual = every_day(lambda day: 100 * wave(day), 200)
    spike = _TODAY - age * ONE_DAY
    found = forecast(usual | {spike: Decimal(50_000)}, _LAST + ONE_DAY, _LAST + 30 * ONE_DAY)
    assert is_close(found.expected, forecast(usual, _LAST + ONE_DAY, _LAST + 30 * ONE_DAY).expected, 0.1)


def test_steep_growth_continues_and_fades() -> None:
    found = forecast(every_day(lambda day: 100 * 1.05 ** (day - _TODAY).days, 100))
    spent = 100 * sum(1.05**-age for age in range(10))
    assert spent + 21 * 80 < found.expected < spent + 21 * 300
    assert found.high > spent + sum(100 * 1.05**ahead for ahead in range(1, 11)) * 2


def test_large_credit_does_not_move_the_level() -> None:
    usual = every_day(lambda day: 100 * wave(day), 200)
    found = forecast(usual | {_TODAY - 3 * ONE_DAY: Decimal(-20_000)})
    spent = exact(usual, _FIRST, _TODAY) - 100 - 20_000
    assert found.low <= found.expected <= found.high
    assert is_close(Fraction(found.expected) - spent, 21 * 100, 0.15)


# Periods


def test_february_of_a_leap_year_has_one_more_day() -> None:
    for year, days in ((2027, 28), (2028, 29)):
        known_to = dt.date(year, 2, 10)
        last = dt.date(year, 2, calendar.monthrange(year, 2)[1])
        assert (
            forecast(every_day(lambda _: 10, 100, known_to), dt.date(year, 2, 1), last, known_to).expected == 10 * days
        )


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (dt.date(2026, 3, 1), dt.date(2026, 3, 31)),
        (dt.date(2026, 1, 1), dt.date(2026, 3, 31)),
        (dt.date(2028, 1, 1), dt.date(2028, 12, 31)),
    ],
)
def test_constant_spend_is_multiplied_by_the_days_of_the_period(first: dt.date, last: dt.date) -> None:
    known_to = first + 9 * ONE_DAY
    found = forecast(every_day(lambda _: 10, 400, known_to), first, last, known_to)
    assert found.expected == 10 * ((last - first).days + 1)


def test_period_excludes_spend_before_its_start() -> None:
    end = _FIRST - ONE_DAY
    history = every_day(lambda day: 10_000 if day == end else 10, 200, end)
    assert is_close(forecast(history, known_to=end).expected, 310, 0.05)
    assert forecast(history, known_to=end - ONE_DAY).expected == 310


def test_distant_period_has_a_wider_interval() -> None:
    history = every_day(lambda day: 100 * wave(day), 60)
    near = forecast(history, _TODAY + ONE_DAY, _TODAY + 30 * ONE_DAY)
    far = forecast(history, _TODAY + 61 * ONE_DAY, _TODAY + 90 * ONE_DAY)
    assert is_close(far.expected, 3_000, 0.1)
    assert far.high - far.low > near.high - near.low


def test_interval_narrows_towards_the_end_of_the_period() -> None:
    history = every_day(lambda day: 100 * wave(day), 300, _LAST)
    widths = [
        found.high - found.low
        for found in (forecast(history, known_to=_FIRST + n * ONE_DAY) for n in (0, 9, 19, 29, 30))
    ]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0


# Imports and files


def test_forecast_imports_only_arithmetic() -> None:
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    ours = {name for name in imported if name and name.startswith("openai_costs_dagster")}
    assert ours <= {"openai_costs_dagster.days", "openai_costs_dagster.spend.money"}
    assert imported - ours <= {
        "__future__",
        "collections.abc",
        "datetime",
        "decimal",
        "math",
        "numpy",
        "numpy.typing",
        "typing",
    }


def test_forecast_reads_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a forecast opened a file")

    history = every_day(lambda day: 100 * wave(day), 300)
    with monkeypatch.context() as patched:
        patched.setattr(builtins, "open", refused)
        patched.setattr("io.open", refused)
        found = forecast_period(history, _FIRST, _LAST, _TODAY)
    assert found is not None
