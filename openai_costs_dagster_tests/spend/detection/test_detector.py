"""Tests of the detector on synthetic series with known anomalies."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.spend.detection.backtest import SpendRow, backtest, build_spend_panel, findings_per_month
from openai_costs_dagster.spend.detection.parameters import SENSITIVITIES, Parameters
from openai_costs_dagster.spend.detection.verdicts import Annotations

from .panels import BESIDE, START, detect, flagged, panel, spend_rows, steady

DAYS = 120


def with_days(values: list[float], days: dict[int, float]) -> list[float]:
    """Return daily values in which some days are multiplied. `days` maps the number of a day to its factor."""
    return [value * days.get(number, 1.0) for number, value in enumerate(values)]


def search(values: list[float]) -> dict[tuple[str, str], list[float]]:
    return {("search", "gpt"): values, **BESIDE}


def test_steady_series_is_not_flagged() -> None:
    assert flagged(search(steady(100))) == []


@pytest.mark.parametrize("times", [3.0, 8.0])
def test_spike_is_flagged_only_on_its_day(times: float) -> None:
    assert flagged(search(with_days(steady(100), {92: times}))) == [92]


def test_drop_to_zero_is_flagged_on_its_first_day() -> None:
    values = with_days(steady(100), dict.fromkeys(range(92, 95), 0.0))
    assert flagged(search(values))[0] == 92


def test_level_shift_is_flagged_in_its_first_days_and_then_becomes_normal() -> None:
    found = flagged(search(with_days(steady(100), dict.fromkeys(range(80, DAYS), 2.5))))
    assert found[0] == 80
    assert all(day < 90 for day in found)


def test_fall_to_an_earlier_level_is_a_recovery() -> None:
    values = with_days(steady(100), dict.fromkeys(range(70, 95), 2.5))
    assert all(day < 80 for day in flagged(search(values)))


def test_slow_growth_is_flagged_before_spend_triples() -> None:
    growth = {day: 1.05 ** min(day - 80, 28) for day in range(80, DAYS)}
    found = flagged(search(with_days(steady(100, noise=0.05), growth)))
    assert found
    assert 80 < found[0] < 80 + 24


def test_constant_growth_is_not_flagged() -> None:
    values = [value * 1.006**day for day, value in enumerate(steady(100, noise=0.08))]
    assert flagged(search(values)) == []


def test_weekend_activity_of_a_weekday_series_is_flagged() -> None:
    values = steady(100, weekend=0.0)
    values[96] = 60.0  # The day is a Saturday, on which this series usually has no spend.
    assert (START + dt.timedelta(days=96)).weekday() == 5
    assert flagged(search(values)) == [96]


def test_weekday_series_is_not_flagged() -> None:
    assert flagged(search(steady(100, weekend=0.0))) == []


def test_new_model_that_raises_its_project_is_flagged_on_its_first_day() -> None:
    new = [0.0] * 90 + [400.0] * 30
    found = flagged({**search(steady(100)), ("search", "new"): new}, model="new")
    assert found[0] == 90


def test_new_model_in_a_noisy_project_is_flagged_within_three_days() -> None:
    beside = {name: steady(300, noise=0.4, seed=seed) for seed, name in enumerate(BESIDE, 7)}
    new = [0.0] * 90 + [500.0] * 30
    values = {("search", "gpt"): steady(600, noise=0.4), ("search", "new"): new, **beside}
    assert flagged(values, model="new")[0] in (90, 91, 92)


def test_new_model_that_is_adopted_gradually_is_not_flagged() -> None:
    new = [0.0] * 90 + [min(1.0 * 1.15**day, 12) for day in range(30)]
    assert flagged({**search(steady(100)), ("search", "new"): new}, model="new") == []


def test_migration_between_models_of_a_project_is_not_flagged() -> None:
    old = with_days(steady(100, noise=0.05), dict.fromkeys(range(90, DAYS), 0.0))
    new = [0.0] * 90 + steady(100, noise=0.05)[90:]
    values = {("search", "old"): old, ("search", "new"): new, **BESIDE}
    assert flagged(values, model="old") == []
    assert flagged(values, model="new") == []


def test_successor_model_is_a_migration_while_its_project_also_grows() -> None:
    old, spent = steady(100, noise=0.05), steady(100, noise=0.05, seed=2)
    for day in range(90, DAYS):
        old[day] = 0.0
    new = [0.0 if day < 88 else spent[day] for day in range(DAYS)]
    busy = with_days(steady(300, seed=3), dict.fromkeys(range(88, DAYS), 2.0))
    values = {("search", "old"): old, ("search", "new"): new, ("search", "busy"): busy, **BESIDE}
    assert flagged(values, model="old") == []
    assert flagged(values, model="busy")


def test_migration_to_an_existing_model_is_not_flagged() -> None:
    old, successor = steady(100, noise=0.05), steady(80, noise=0.05, seed=2)
    successor = [value + 0.9 * old[day] * (day >= 99) for day, value in enumerate(successor)]
    old = with_days(old, dict.fromkeys(range(99, DAYS), 0.1))
    values = {("search", "old"): old, ("search", "successor"): successor, **BESIDE}
    assert flagged(values, model="old") == []
    assert flagged(values, model="successor") == []


@pytest.mark.parametrize(("times", "beside"), [(3.0, 220), (0.2, 120)])
def test_coincidental_migration_is_flagged_once_siblings_return(times: float, beside: float) -> None:
    mine, other = steady(100, noise=0.05), steady(beside, noise=0.05, seed=2)
    changed = with_days(mine, dict.fromkeys(range(92, 99), times))
    other[92] -= changed[92] - mine[92]
    values = {**BESIDE, ("search", "gpt"): changed, ("search", "other"): other}
    assert flagged(values)[0] == 93
    assert flagged(values, model="other") == []


def test_migration_is_not_reverted_on_low_weekends() -> None:
    old, successor = (steady(level, noise=0.1, seed=level, weekend=0.25) for level in (80, 100))
    successor = [value + old[day] * (day >= 92) for day, value in enumerate(successor)]
    old = with_days(old, dict.fromkeys(range(92, DAYS), 0.0))
    spend_panel = panel({**BESIDE, ("search", "gpt"): successor, ("search", "other"): old})
    expected = detect(spend_panel).expected[:, spend_panel.series.index(SeriesKey("acme", "search", "gpt"))]
    usual = np.array(steady(180, noise=0.0, weekend=0.25))
    assert np.abs(np.log(expected[94:] / usual[94:])).max() < np.log(1.4)


def three_models() -> dict[tuple[str, str], list[float]]:
    """Return three models of a project: two rise for a week, and the third is low on the first day of that week."""
    a, b, c = (steady(level, noise=0.03, seed=level) for level in (100, 330, 110))
    rose = dict.fromkeys(range(92, 99), 2.0)
    b[92] -= 0.85 * (a[92] + c[92])
    return {
        ("search", "gpt"): with_days(a, rose),
        ("search", "c"): with_days(c, rose),
        ("search", "b"): b,
        ("chat", "gpt"): steady(500, seed=8),
    }


def test_sibling_of_two_coincidental_migrations_keeps_its_level() -> None:
    spend_panel = panel(three_models())
    verdicts = detect(spend_panel)
    column = spend_panel.series.index(SeriesKey("acme", "search", "b"))
    assert not verdicts.flagged[:, column].any()
    assert np.abs(np.log(verdicts.expected[94:, column] / np.array(steady(330, noise=0.0)[94:]))).max() < np.log(1.2)
    for rose in ("gpt", "c"):
        assert flagged(three_models(), model=rose)[0] == 93


def test_expected_level_stays_after_a_coincidental_migration() -> None:
    mine, other = steady(100, noise=0.05), steady(220, noise=0.05, seed=2)
    changed = with_days(mine, {92: 2.2, **dict.fromkeys(range(93, DAYS), 6.0)})
    for day in (92, 93):
        other[day] -= changed[92] - mine[92]
    spend_panel = panel({**BESIDE, ("search", "gpt"): changed, ("search", "other"): other})
    column = spend_panel.series.index(SeriesKey("acme", "search", "gpt"))
    expected = np.zeros(spend_panel.spend.shape, bool)
    expected[93] = True
    assert detect(spend_panel).flagged[93, column]
    assert not detect(spend_panel, Annotations(expected=expected)).flagged[93:, column].any()


def test_unknown_day_does_not_revert_a_migration() -> None:
    old, successor = steady(100, noise=0.05), steady(80, noise=0.05, seed=2)
    successor = [value + 0.9 * old[day] * (day >= 92) for day, value in enumerate(successor)]
    old = with_days(old, dict.fromkeys(range(92, DAYS), 0.1))
    spend_panel = panel({**BESIDE, ("search", "gpt"): old, ("search", "other"): successor})
    spend_panel.spend[94] = 0
    known = np.ones(len(spend_panel.spend), bool)
    known[94] = False
    column = spend_panel.series.index(SeriesKey("acme", "search", "gpt"))
    assert detect(spend_panel, Annotations(known=known)).expected[94, column] < 20


def test_reverted_migration_does_not_affect_another_organization() -> None:
    beta = spend_rows({("p", "m"): [value * 1.01**day for day, value in enumerate(steady(50))]}, "beta")
    alone = list(backtest(build_spend_panel(beta), Parameters()))
    beside = backtest(build_spend_panel(beta + spend_rows(three_models())), Parameters())
    assert [row for row in beside if row.series.organization == "beta"] == alone


@pytest.mark.parametrize("seed", [2, 5, 10, 11])
def test_slow_fall_to_an_earlier_level_is_expected_without_a_flagged_day(seed: int) -> None:
    runaway = with_days(steady(100, noise=0.25, seed=seed), dict.fromkeys(range(60, 68), 3.0))
    spend_panel = panel(search(runaway))
    verdicts = detect(spend_panel)
    column = spend_panel.series.index(SeriesKey("acme", "search", "gpt"))
    assert np.flatnonzero(verdicts.flagged[:, column]).tolist() == list(range(60, 65))
    working = np.array([day for day in range(72, 90) if day % 7 < 5])
    assert np.abs(np.log(verdicts.expected[working, column] / 100)).max() < np.log(1.5)


def test_common_week_of_rest_is_not_a_fall_to_an_earlier_level() -> None:
    for seed in range(4):
        rested = dict.fromkeys(range(91, 96), 0.55)
        values = {
            name: with_days(steady(300, noise=0.2, seed=seed + 10 * number), rested)
            for number, name in enumerate(BESIDE)
        }
        shifted = dict.fromkeys(range(80, DAYS), 2.2)
        values["search", "gpt"] = with_days(with_days(steady(100, noise=0.2, seed=seed), shifted), rested)
        assert not [day for day in flagged(values) if day >= 96]


def test_spike_above_a_recently_raised_level_is_flagged() -> None:
    higher = {60: 2.6, **dict.fromkeys(range(61, 75), 1.35)}
    assert flagged(search(with_days(steady(100, noise=0.15), {**higher, 70: 9.0}))) == [60, 70]


def test_recent_alerts_raise_the_upper_bound() -> None:
    def upper(spikes: dict[int, float]) -> float:
        spend_panel = panel(search(with_days(steady(100), spikes)))
        return float(detect(spend_panel).upper[110, spend_panel.series.index(SeriesKey("acme", "search", "gpt"))])

    calm, restless = upper({}), upper({60: 4.0, 75: 4.0, 90: 4.0})
    assert calm < restless < 1.3 * calm
    assert 110 in flagged(search(with_days(steady(100), {60: 4.0, 75: 4.0, 90: 4.0, 110: 4.0})))


def test_fall_during_an_open_rise_is_a_recovery() -> None:
    times = {70 + day: 1.12 ** (day + 2) for day in range(16)}
    found = flagged(search(with_days(steady(100), times)))
    assert found
    assert all(70 <= day < 86 for day in found)


def test_gradually_adopted_series_is_expected_at_its_final_level() -> None:
    adopted = [0.0] * 28 + [value * min(1, 0.04 * 1.1**day) for day, value in enumerate(steady(100, 120, noise=0.05))]
    spend_panel = panel({("search", "young"): adopted, **{name: steady(300, 148) for name in BESIDE}})
    expected = detect(spend_panel).expected[:, spend_panel.series.index(SeriesKey("acme", "search", "young"))]
    usual = np.array([0.0] * 28 + steady(100, 120, noise=0.0))
    assert np.abs(expected[78:] / usual[78:] - 1).max() < 0.25


def test_end_of_a_young_series_is_not_a_drop() -> None:
    young = [50.0 if 60 <= day < 70 else 0.0 for day in range(DAYS)]
    found = flagged({("search", "young"): young, **BESIDE}, model="young")
    assert all(day < 70 for day in found)


def test_two_weeks_of_irregular_days_do_not_define_weekdays() -> None:
    # Spend is missing on each Tuesday and on one of two Saturdays: 19 days are too few to infer fixed weekdays.
    young = [6.2, 0, 7.3, 5.9, 5.4, 2.3, 0, 6.0, 0, 6.9, 6.5, 4.9, 0, 2.1, 7.3, 6.3, 0, 7.1, 5.5]
    assert flagged({("search", "young"): young, **BESIDE}, model="young") == []


def test_usual_days_after_a_high_intermittent_day_are_not_flagged() -> None:
    values = [20.0 + day % 7 if day % 4 == 0 else 0.0 for day in range(DAYS)]
    values[100] = 400.0
    assert flagged(search(values)) == [100]


def test_repeated_month_ends_are_suppressed_after_the_first() -> None:
    values = steady(100, 150)
    for day, _ in enumerate(values):
        if (START + dt.timedelta(days=day + 1)).day == 1:
            values[day] *= 3
    beside = {name: steady(300, 150, seed=3) for name in BESIDE}
    found = flagged({("search", "gpt"): values, **beside})
    assert len(found) <= 1


def test_one_high_month_end_of_several_does_not_suppress_the_next() -> None:
    turns = [day for day in range(150) if (START + dt.timedelta(days=day + 1)).day == 1]
    values = with_days(steady(100, 150), {turns[-2]: 3.0, turns[-1]: 3.0})
    beside = {name: steady(300, 150, seed=3) for name in BESIDE}
    assert len(turns) >= 4
    assert flagged({("search", "gpt"): values, **beside}) == [turns[-2], turns[-1]]


def test_common_day_of_rest_is_not_a_drop() -> None:
    rest = {92: 0.2}
    values = {name: with_days(series, rest) for name, series in search(steady(100)).items()}
    assert flagged(values) == []


def test_tiny_and_intermittent_series_are_not_flagged() -> None:
    rng = np.random.default_rng(5)
    values = [float(20 * np.exp(0.3 * rng.standard_normal())) if rng.random() < 0.15 else 0.0 for _ in range(DAYS)]
    assert flagged(search(with_days(steady(0.1), {92: 20.0}))) == []
    assert flagged({**search(steady(100)), ("batch", "intermittent"): values}, "batch", "intermittent") == []


def intermittent_series(days: dict[int, float]) -> list[float]:
    """Return spend of about 20 US dollars on every fifth day on average, and given amounts on the days in `days`."""
    rng = np.random.default_rng(6)
    spent = 20 * np.exp(0.3 * rng.standard_normal(DAYS)) * (rng.random(DAYS) < 0.2)
    return [days.get(day, float(value)) for day, value in enumerate(spent)]


def test_consecutive_high_days_of_an_intermittent_series_are_flagged() -> None:
    found = flagged(
        {("batch", "intermittent"): intermittent_series(dict.fromkeys(range(90, 97), 34.0)), **BESIDE},
        "batch",
        "intermittent",
    )
    assert found
    assert 91 <= found[0] <= 94


def test_consecutive_usual_days_of_an_intermittent_series_are_not_flagged() -> None:
    usual = intermittent_series(dict.fromkeys(range(90, 97), 20.0))
    assert flagged({("batch", "intermittent"): usual, **BESIDE}, "batch", "intermittent") == []


def test_outlier_does_not_distort_the_later_baseline() -> None:
    values = with_days(steady(100), {60: 30.0, 61: 30.0, 92: 3.0})
    assert flagged(search(values)) == [60, 61, 92]


def test_provisional_days_are_flagged_for_rises_only() -> None:
    spend_panel = panel(search(with_days(steady(100), {110: 0.0, 112: 5.0})))
    settled = np.ones(len(spend_panel.spend), bool)
    settled[108:] = False
    column = spend_panel.series.index(SeriesKey("acme", "search", "gpt"))
    found = detect(spend_panel, Annotations(settled=settled)).flagged[:, column]
    assert [int(row) for row in np.flatnonzero(found)] == [112]


def test_unknown_days_are_neither_flagged_nor_used() -> None:
    spend_panel = panel(search(with_days(steady(100), dict.fromkeys(range(80, 90), 0.0))))
    known = np.ones(len(spend_panel.spend), bool)
    known[80:90] = False
    column = spend_panel.series.index(SeriesKey("acme", "search", "gpt"))
    assert not detect(spend_panel, Annotations(known=known)).flagged[:, column].any()


def test_expected_day_sets_the_normal_level_at_once() -> None:
    spend_panel = panel(search(with_days(steady(100), dict.fromkeys(range(90, DAYS), 3.0))))
    expected = np.zeros(spend_panel.spend.shape, bool)
    expected[90] = True
    column = spend_panel.series.index(SeriesKey("acme", "search", "gpt"))
    assert detect(spend_panel).flagged[:, column].any()
    assert not detect(spend_panel, Annotations(expected=expected)).flagged[:, column].any()


def test_small_unusual_day_is_minor_and_a_larger_one_is_flagged() -> None:
    small, large = (panel(search(with_days(steady(6, noise=0.03), {92: times}))) for times in (1.6, 3.0))
    column = small.series.index(SeriesKey("acme", "search", "gpt"))
    assert (detect(small).minor[92, column], detect(small).flagged[92, column]) == (True, False)
    assert detect(large).flagged[92, column]


def test_higher_sensitivity_flags_at_least_as_many_days() -> None:
    values = search(with_days(steady(100, noise=0.2), {92: 2.0, 100: 1.7, 110: 3.0}))
    counts = [
        int(detect(panel(values), parameters=Parameters.for_sensitivity(sensitivity, 5.0)).flagged.sum())
        for sensitivity in SENSITIVITIES
    ]
    assert counts == sorted(counts)
    assert counts[-1]


RANDOM_SPEND = st.lists(
    st.tuples(
        st.sampled_from(["p", "q"]),
        st.sampled_from(["m", "n"]),
        st.integers(0, 80),
        st.decimals(-5, 500, places=2, allow_nan=False),
    ),
    min_size=1,
    max_size=120,
)


def random_rows(rows: list[tuple[str, str, int, Decimal]]) -> list[SpendRow]:
    return [
        SpendRow("acme", project, model, START + dt.timedelta(days=day), amount) for project, model, day, amount in rows
    ]


@settings(max_examples=25, deadline=None)
@given(rows=RANDOM_SPEND, order=st.randoms(use_true_random=False))
def test_result_is_independent_of_row_order(rows: list[tuple[str, str, int, Decimal]], order: object) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    parameters = Parameters()
    assert list(backtest(build_spend_panel(random_rows(rows)), parameters)) == list(
        backtest(build_spend_panel(random_rows(shuffled)), parameters)
    )


def mixed_series(seed: int) -> dict[tuple[str, str], list[float]]:
    """Return spend with spikes, level shifts, a new series, an intermittent series and a migration."""
    rng = np.random.default_rng(seed)
    days = {int(day): float(rng.uniform(0, 6)) for day in rng.integers(20, DAYS, 6)}
    shift = dict.fromkeys(range(int(rng.integers(40, 100)), DAYS), float(rng.uniform(0.2, 3)))
    return {
        ("search", "gpt"): with_days(steady(100, seed=seed, noise=0.2), days),
        ("search", "other"): with_days(steady(30, seed=seed + 1), shift),
        ("chat", "new"): [0.0] * 70 + steady(60, DAYS - 70, seed=seed + 2),
        ("batch", "intermittent"): intermittent_series(dict.fromkeys(range(90, 97), 34.0)),
        **{("ranking", model): three_models()["search", model] for model in ("gpt", "b", "c")},
        **BESIDE,
    }


def test_mixed_panel_contains_many_kinds_of_reasons() -> None:
    spend_panel = panel(mixed_series(0))
    verdicts = detect(spend_panel)
    values = spend_panel.series.index(SeriesKey("acme", "batch", "intermittent"))
    assert verdicts.flagged[90:97, values].any()
    assert {"above", "below", "2 days"} <= set(verdicts.reason[verdicts.flagged].tolist())
    assert {"migration", "recovery", "reported", "suppressed", "young"} <= set(verdicts.reason.ravel().tolist())


@pytest.mark.parametrize("seed", range(2))
def test_result_of_a_mixed_panel_is_independent_of_row_order(seed: int) -> None:
    rows = spend_rows(mixed_series(seed))
    shuffled = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
    assert list(backtest(build_spend_panel(rows), Parameters())) == list(
        backtest(build_spend_panel(shuffled), Parameters())
    )


@pytest.mark.parametrize("seed", range(4))
def test_later_days_do_not_change_earlier_verdicts(seed: int) -> None:
    rows = spend_rows(mixed_series(seed))
    for cut in (60, 75, 95, 110):
        before = [row for row in rows if row.day < START + dt.timedelta(days=cut)]
        short = {(row.series, row.day): row for row in backtest(build_spend_panel(before), Parameters())}
        whole = {(row.series, row.day): row for row in backtest(build_spend_panel(rows), Parameters())}
        for key, row in short.items():
            assert row.flagged == whole[key].flagged
            assert row.expected == pytest.approx(whole[key].expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("factor", [0.01, 40.0])
def test_scaling_amounts_and_minimum_impact_scales_the_bounds(factor: float) -> None:
    rows = spend_rows(mixed_series(5))
    scaled = [row._replace(amount=row.amount * Decimal(str(factor))) for row in rows]
    plain = list(backtest(build_spend_panel(rows), Parameters.for_sensitivity("medium", 5.0)))
    other = list(backtest(build_spend_panel(scaled), Parameters.for_sensitivity("medium", 5.0 * factor)))
    assert [row.flagged for row in plain] == [row.flagged for row in other]
    for plain_row, scaled_row in zip(plain, other, strict=True):
        for name in ("expected", "lower", "upper"):
            assert getattr(scaled_row, name) == pytest.approx(getattr(plain_row, name) * factor, rel=1e-6, abs=1e-9)


def test_verdicts_cover_each_series_until_its_organizations_last_day() -> None:
    rows = [
        SpendRow("acme", "p", "m", START, Decimal(3)),
        SpendRow("acme", "p", "n", START + dt.timedelta(days=4), Decimal(2)),
        SpendRow("beta", "", "", START + dt.timedelta(days=1), Decimal(1)),
    ]
    counted: dict[SeriesKey, int] = {}
    for row in backtest(build_spend_panel(rows), Parameters()):
        counted[row.series] = counted.get(row.series, 0) + 1
    assert counted[SeriesKey("acme", "p", "m")] == 5
    assert counted[SeriesKey("acme", "p", "n")] == 1
    assert counted[SeriesKey("acme", "p")] == counted[SeriesKey("acme")] == 5
    assert counted[SeriesKey("acme", model="m")] == 5
    assert counted[SeriesKey("beta", "(none)", "(none)")] == 1


def test_consecutive_flagged_days_count_as_one_finding() -> None:
    spend_panel = panel(search(with_days(steady(100), dict.fromkeys((92, 93), 6.0))))
    months = 120 / 30.4
    assert findings_per_month(spend_panel, detect(spend_panel)) == pytest.approx(1 / months)
