"""The contenders of the detection benchmark and their measurement."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.detection import ours, rules
from benchmarks.detection.forecasts import Bounds, Forecasts
from benchmarks.detection.panels import Flags, LabelledPanel
from benchmarks.detection.rules import Rule
from benchmarks.detection.scoring import Score, score, total

MINIMUM_IMPACT_USD = ours.MINIMUM_IMPACT
"""The minimum impact in US dollars of the second row of each rule. Without it the rules alert about cents."""


@dataclass(frozen=True)
class Contender:
    """A contender. `prepare` returns a function that flags days; only that function is timed."""

    name: str
    description: str
    prepare: Callable[[LabelledPanel], Callable[[], Flags]]


@dataclass(frozen=True)
class Result:
    """The scores by panel and the time that flagging all of them took."""

    scores: Sequence[Score]
    seconds: float
    series_days: int
    """The days of all leaf series from first to last spend, without totals."""

    @property
    def score(self) -> Score:
        """The score of all panels together."""
        return total(self.scores)

    @property
    def microseconds(self) -> float:
        """The time per series-day."""
        return self.seconds / self.series_days * 1e6


def _rule(name: str, description: str, rule: Rule) -> Contender:
    return Contender(name, description, lambda panel: partial(rule, panel))


def _with_minimum_impact(name: str, description: str, rule: Callable[..., Flags]) -> list[Contender]:
    """Return a rule without and with the minimum impact."""
    gated = f"{name}, ${MINIMUM_IMPACT_USD:.0f}"
    return [
        _rule(name, description, rule),
        _rule(
            gated,
            f"the same with a minimum difference of ${MINIMUM_IMPACT_USD:.0f}",
            partial(rule, minimum_impact=MINIMUM_IMPACT_USD),
        ),
    ]


OURS = {
    sensitivity: Contender(
        f"ours, {sensitivity}",
        f"the detector with `sensitivity: {sensitivity}` and `minimum_impact_usd: {ours.MINIMUM_IMPACT:.0f}`",
        partial(ours.prepare, sensitivity=sensitivity),
    )
    for sensitivity in ours.SENSITIVITIES
}
TRAILING_MEAN = _rule(
    "mean + 3 sigma",
    "above the mean of 30 days by 3 standard deviations, 50 % and $10",
    rules.trailing_mean,
)
ORACLE = _rule(
    "oracle",
    "3.4 true standard deviations, 25 % and $5 away from the true expectation; both are unknown in practice",
    rules.oracle,
)
CONTENDERS = (
    *OURS.values(),
    TRAILING_MEAN,
    *_with_minimum_impact(
        "z-score",
        "3 standard deviations from the mean of 14 days; the default of the dbt package Elementary",
        rules.z_score,
    ),
    *_with_minimum_impact(
        "weekday z-score",
        "the same for the last 14 days with the same weekday; Elementary's default with weekly seasonality",
        partial(rules.z_score, by_weekday=True),
    ),
    *_with_minimum_impact(
        "weekday median", "3 MAD from the median of the last 8 days with the same weekday", rules.weekday_median
    ),
    ORACLE,
)
_COMPARED_WITH_FORECASTS = (OURS["medium"], TRAILING_MEAN, ORACLE)


def measure(contender: Contender, panels: Iterable[LabelledPanel]) -> Result:
    """Run a contender on every panel once and return its result."""
    scores, seconds, series_days = [], 0.0, 0
    for panel in panels:
        flags, spent = _timed_flags(contender, panel)
        scores.append(score(panel, flags))
        seconds += spent
        series_days += int(panel.alive.sum())
    return Result(scores, seconds, series_days)


def measure_forecasts(forecasts: Forecasts) -> Mapping[Contender, Result]:
    """Return the results of the forecasting models and of other contenders on the same leaf series."""
    results = {contender: _on_sample(contender, forecasts) for contender in _COMPARED_WITH_FORECASTS}
    for model, bounds in forecasts.bounds.items():
        description = (
            f"outside the 99 % interval of statsforecast {forecasts.version}'s {model}, "
            "with weekly seasonality, fitted every week"
        )
        for contender in _with_minimum_impact(model, description, partial(_outside, bounds)):
            flags = contender.prepare(forecasts.panel)()
            results[contender] = Result(
                [score(forecasts.panel, flags)], bounds.seconds, int(forecasts.panel.alive.sum())
            )
    return results


def _timed_flags(contender: Contender, panel: LabelledPanel) -> tuple[Flags, float]:
    find_flags = contender.prepare(panel)
    began = time.perf_counter()
    flags = find_flags()
    return flags, time.perf_counter() - began


def _on_sample(contender: Contender, forecasts: Forecasts) -> Result:
    flags, seconds = _timed_flags(contender, forecasts.whole)
    return Result([score(forecasts.panel, flags[:, forecasts.columns])], seconds, int(forecasts.whole.alive.sum()))


def _outside(bounds: Bounds, panel: LabelledPanel, *, minimum_impact: float = 0.0) -> Flags:
    return rules.outside(panel, bounds.lower, bounds.upper, minimum_impact=minimum_impact)
