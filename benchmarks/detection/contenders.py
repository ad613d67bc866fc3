"""Who is measured, and what measuring one of them gives."""

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

WORTH = ours.MINIMUM_IMPACT
"""US dollars that rules are given as ours has them, in a second row each: without, they alert about cents."""


@dataclass(frozen=True)
class Contender:
    """`prepare` is not measured, what it returns is."""

    name: str
    what: str
    prepare: Callable[[LabelledPanel], Callable[[], Flags]]


@dataclass(frozen=True)
class Result:
    """Scores by panel, and the time that judging all of them took."""

    scores: Sequence[Score]
    seconds: float
    series_days: int
    """Days of leaves from their first spend to their last; totals are judged on top of them."""

    @property
    def score(self) -> Score:
        """All panels as one."""
        return total(self.scores)

    @property
    def microseconds(self) -> float:
        """Per series-day."""
        return self.seconds / self.series_days * 1e6


def _rule(name: str, what: str, rule: Rule) -> Contender:
    return Contender(name, what, lambda panel: partial(rule, panel))


def _two(name: str, what: str, rule: Callable[..., Flags]) -> list[Contender]:
    gated = f"{name}, ${WORTH:.0f}"
    return [_rule(name, what, rule), _rule(gated, f"the same, from ${WORTH:.0f} off on", partial(rule, worth=WORTH))]


OURS = {
    sensitivity: Contender(
        f"ours, {sensitivity}",
        f"the project's detector at `sensitivity: {sensitivity}` and `minimum_impact_usd: {ours.MINIMUM_IMPACT:.0f}`",
        partial(ours.prepare, sensitivity=sensitivity),
    )
    for sensitivity in ours.SENSITIVITIES
}
TRAILING_MEAN = _rule(
    "mean + 3 sigma",
    "above the mean of 30 days by 3 standard deviations and 50 % and $10",
    rules.trailing_mean,
)
ORACLE = _rule(
    "oracle",
    "3.4 standard deviations, 25 % and $5 from the expectation, both of them the true ones, which nobody can know",
    rules.oracle,
)
CONTENDERS = (
    *OURS.values(),
    TRAILING_MEAN,
    *_two(
        "z-score",
        "3 standard deviations from the mean of 14 days: the default of the package Elementary",
        rules.z_score,
    ),
    *_two(
        "weekday z-score",
        "the same of 14 same weekdays: its default with seasonality by weekday",
        partial(rules.z_score, by_weekday=True),
    ),
    *_two("weekday median", "3 MAD from the median of 8 same weekdays", rules.weekday_median),
    ORACLE,
)
_BESIDE_FORECASTS = (OURS["medium"], TRAILING_MEAN, ORACLE)


def measure(contender: Contender, panels: Iterable[LabelledPanel]) -> Result:
    """Has a contender judge every panel once."""
    scores, seconds, series_days = [], 0.0, 0
    for panel in panels:
        flags, spent = _judged(contender, panel)
        scores.append(score(panel, flags))
        seconds += spent
        series_days += int(panel.alive.sum())
    return Result(scores, seconds, series_days)


def measure_forecasts(found: Forecasts) -> Mapping[Contender, Result]:
    """What lies outside the intervals of each model, and what others find on the same leaves, judging all."""
    results = {contender: _on_the_same(contender, found) for contender in _BESIDE_FORECASTS}
    for model, bounds in found.bounds.items():
        what = (
            f"outside the 99 % interval of statsforecast {found.version}'s {model}, seasonal by week, fitted every week"
        )
        for contender in _two(model, what, partial(_outside, bounds)):
            flags = contender.prepare(found.panel)()
            results[contender] = Result([score(found.panel, flags)], bounds.seconds, int(found.panel.alive.sum()))
    return results


def _judged(contender: Contender, panel: LabelledPanel) -> tuple[Flags, float]:
    judge = contender.prepare(panel)
    began = time.perf_counter()
    flags = judge()
    return flags, time.perf_counter() - began


def _on_the_same(contender: Contender, found: Forecasts) -> Result:
    flags, seconds = _judged(contender, found.whole)
    return Result([score(found.panel, flags[:, found.columns])], seconds, int(found.whole.alive.sum()))


def _outside(bounds: Bounds, panel: LabelledPanel, *, worth: float = 0.0) -> Flags:
    return rules.outside(panel, bounds.lower, bounds.upper, worth=worth)
