"""What is flagged lies outside the range of the test that flagged it, and is worth the minimum impact."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.spend.detection.panel import Panel
from openai_costs_dagster.spend.detection.parameters import SENSITIVITIES, Parameters
from openai_costs_dagster.spend.detection.verdicts import Verdicts

from .panels import BESIDE, detect, panel, steady
from .test_detector import rich

MINIMUM = 5.0
ROUNDING = 1e-6


def with_credits(seed: int) -> Panel:
    """Spend of every kind at a size between cents and hundreds of dollars; every other panel has negative days."""
    rng = np.random.default_rng(seed)
    scale = float(rng.choice([0.02, 0.05, 0.1, 1, 5]))
    values = {name: [scale * value for value in days] for name, days in rich(seed).items()}
    for days in values.values() if seed % 2 else ():
        for day in rng.integers(0, len(days), 4):
            days[int(day)] -= float(rng.uniform(0, 3)) * max(days[int(day)], 1)
    return panel(values)


@pytest.mark.parametrize("seed", range(6))
def test_a_flagged_amount_is_outside_its_range_and_off_by_the_minimum_impact(seed: int) -> None:
    made = with_credits(seed)
    verdicts = detect(made, parameters=Parameters.for_sensitivity(SENSITIVITIES[seed % 3], MINIMUM))
    assert set(verdicts.tests) == set(zip(*map(np.ndarray.tolist, np.nonzero(verdicts.flagged)), strict=True))
    for (row, column), test in verdicts.tests.items():
        spent = made.spend[row - test.days + 1 : row + 1, column].sum()
        assert not test.lower - ROUNDING <= spent <= test.upper + ROUNDING, (row, made.series[column], test)
        assert test.lower - ROUNDING <= test.expected <= test.upper + ROUNDING
        assert (spent > test.upper) == (spent > test.expected)
        if not str(verdicts.reason[row, column]).endswith(" days"):  # their sum is held to it where findings are made
            assert abs(spent - test.expected) > MINIMUM - ROUNDING, (row, made.series[column], test)


def net_cost(amount: float) -> tuple[Verdicts, int]:
    """A small series in which one settled day has this net cost, and its column."""
    values = steady(1.5)
    values[92] = amount
    made = panel({("search", "gpt"): values, **BESIDE})
    return detect(made, parameters=Parameters.for_sensitivity("high", MINIMUM)), made.series.index(
        SeriesKey("acme", "search", "gpt")
    )


def test_a_small_negative_day_is_not_flagged() -> None:
    verdicts, column = net_cost(-2.71)
    assert not verdicts.flagged[92, column]
    assert verdicts.lower[92, column] <= -2.71


def test_a_large_negative_day_is_flagged() -> None:
    verdicts, column = net_cost(-6.6)
    assert verdicts.flagged[92, column]
    assert verdicts.tests[92, column].lower == pytest.approx(verdicts.expected[92, column] - MINIMUM)


def test_the_lower_bound_is_below_zero_only_on_days_of_negative_cost() -> None:
    verdicts, column = net_cost(-2.71)
    assert [row for row, lower in enumerate(verdicts.lower[:, column]) if lower < 0] == [92]


def test_the_range_of_days_together_belongs_to_their_sum() -> None:
    values = [value * (1.35 if day >= 90 else 1.0) for day, value in enumerate(steady(100, noise=0.15))]
    made = panel({("search", "gpt"): values, **BESIDE})
    verdicts, column = detect(made), made.series.index(SeriesKey("acme", "search", "gpt"))
    together = [test for (_, one), test in verdicts.tests.items() if one == column and test.days > 1]
    assert together
    usual = [100 * (0.4 if day % 7 >= 5 else 1.0) for day in range(120)]
    for (row, one), test in verdicts.tests.items():
        if one == column and test.days > 1:
            assert test.expected == pytest.approx(sum(usual[row - test.days + 1 : row + 1]), rel=0.3)


def test_the_minimum_impact_holds_at_every_size() -> None:
    impacts = []
    for minimum in (1.0, 5.0, 25.0):
        made = with_credits(3)
        verdicts = detect(made, parameters=Parameters.for_sensitivity("high", minimum))
        impacts.append(len([test for test in verdicts.tests.values() if test.days == 1]))
    assert all(more >= fewer for more, fewer in pairwise(impacts))
    assert impacts[0] > impacts[-1]
