"""Tests of the expected ranges of findings: each flagged amount lies outside its range."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.spend.detection.panel import Panel
from openai_costs_dagster.spend.detection.parameters import SENSITIVITIES, Parameters
from openai_costs_dagster.spend.detection.verdicts import Verdicts

from .panels import BESIDE, detect, panel, steady
from .test_detector import mixed_series

MINIMUM = 5.0
ROUNDING = 1e-6


def with_credits(seed: int) -> Panel:
    """Return many kinds of series with cents to hundreds of US dollars a day. Odd seeds have negative days."""
    rng = np.random.default_rng(seed)
    scale = float(rng.choice([0.02, 0.05, 0.1, 1, 5]))
    values = {name: [scale * value for value in days] for name, days in mixed_series(seed).items()}
    for days in values.values() if seed % 2 else ():
        for day in rng.integers(0, len(days), 4):
            days[int(day)] -= float(rng.uniform(0, 3)) * max(days[int(day)], 1)
    return panel(values)


@pytest.mark.parametrize("seed", range(6))
def test_flagged_amount_is_outside_its_range_and_reaches_the_minimum_impact(seed: int) -> None:
    spend_panel = with_credits(seed)
    verdicts = detect(spend_panel, parameters=Parameters.for_sensitivity(SENSITIVITIES[seed % 3], MINIMUM))
    assert set(verdicts.tests) == set(zip(*map(np.ndarray.tolist, np.nonzero(verdicts.flagged)), strict=True))
    for (row, column), test in verdicts.tests.items():
        spent = spend_panel.spend[row - test.days + 1 : row + 1, column].sum()
        assert not test.lower - ROUNDING <= spent <= test.upper + ROUNDING, (row, spend_panel.series[column], test)
        assert test.lower - ROUNDING <= test.expected <= test.upper + ROUNDING
        assert (spent > test.upper) == (spent > test.expected)
        # The detector does not apply the minimum impact to the sum of several days: `monitoring` does.
        if not str(verdicts.reason[row, column]).endswith(" days"):
            assert abs(spent - test.expected) > MINIMUM - ROUNDING, (row, spend_panel.series[column], test)


def net_cost(amount: float) -> tuple[Verdicts, int]:
    """Return the verdicts for a small series in which day 92 has the given net cost, and the column of the series."""
    values = steady(1.5)
    values[92] = amount
    spend_panel = panel({("search", "gpt"): values, **BESIDE})
    return detect(spend_panel, parameters=Parameters.for_sensitivity("high", MINIMUM)), spend_panel.series.index(
        SeriesKey("acme", "search", "gpt")
    )


def test_small_negative_day_is_not_flagged() -> None:
    verdicts, column = net_cost(-2.71)
    assert not verdicts.flagged[92, column]
    assert verdicts.lower[92, column] <= -2.71


def test_large_negative_day_is_flagged() -> None:
    verdicts, column = net_cost(-6.6)
    assert verdicts.flagged[92, column]
    assert verdicts.tests[92, column].lower == pytest.approx(verdicts.expected[92, column] - MINIMUM)


def test_lower_bound_is_negative_only_on_days_with_negative_cost() -> None:
    verdicts, column = net_cost(-2.71)
    assert [row for row, lower in enumerate(verdicts.lower[:, column]) if lower < 0] == [92]


def test_range_of_consecutive_days_applies_to_their_sum() -> None:
    values = [value * (1.35 if day >= 90 else 1.0) for day, value in enumerate(steady(100, noise=0.15))]
    spend_panel = panel({("search", "gpt"): values, **BESIDE})
    verdicts, column = detect(spend_panel), spend_panel.series.index(SeriesKey("acme", "search", "gpt"))
    together = [
        test for (_, tested_column), test in verdicts.tests.items() if tested_column == column and test.days > 1
    ]
    assert together
    usual = [100 * (0.4 if day % 7 >= 5 else 1.0) for day in range(120)]
    for (row, tested_column), test in verdicts.tests.items():
        if tested_column == column and test.days > 1:
            assert test.expected == pytest.approx(sum(usual[row - test.days + 1 : row + 1]), rel=0.3)


def test_larger_minimum_impact_flags_fewer_days() -> None:
    impacts = []
    for minimum in (1.0, 5.0, 25.0):
        spend_panel = with_credits(3)
        verdicts = detect(spend_panel, parameters=Parameters.for_sensitivity("high", minimum))
        impacts.append(len([test for test in verdicts.tests.values() if test.days == 1]))
    assert all(more >= fewer for more, fewer in pairwise(impacts))
    assert impacts[0] > impacts[-1]
