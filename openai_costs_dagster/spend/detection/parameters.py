"""The detector's numbers, in one place; measured on the panels of ``benchmarks/detection``.

Amounts in dollars are multiples of the minimum impact, so that scaling both scales every bound. Changes are on a log
scale: 0.25 is about 28 % more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

Sensitivity = Literal["low", "medium", "high"]

Days = TypeVar("Days", float, NDArray[np.float64])

_MOST = 60.0  # of the log scale: more dollars than there are

SENSITIVITIES: tuple[Sensitivity, ...] = ("low", "medium", "high")


class _Differences(TypedDict):
    """What the sensitivities differ by."""

    deviations: float
    deviations_down: float
    relative: float
    relative_down: float
    persistent: float
    persistent_down: float
    newcomer: float
    usual_noise_days: float
    youth: float


@dataclass(frozen=True)
class Tuning:
    """What decides; days, unless said otherwise."""

    minimum_impact: float = 5.0
    """US dollars that a day must differ by to be worth someone's time."""
    deviations: float = 3.4
    """Standard deviations above what was expected that are unusual."""
    deviations_down: float = 5.35
    relative: float = 0.27
    """The share of what was expected by which a day must be more."""
    relative_down: float = 0.45
    persistent: float = 3.4
    """Deviations of two days together, both on the same side, that are unusual ..."""
    persistent_less: float = 0.2
    """... and how many less of 2.7 times as many days, for there are fewer such runs in a month."""
    alerted: float = 0.2
    """Deviations more that a day takes for each alert of its series lately: some have more odd days than others ..."""
    alerted_together: float = 0.1
    """... and several days together."""
    most_alerts: int = 3
    lately: int = 84
    settling: int = 10
    """How long after a level changed it is known less well ..."""
    doubt: float = 1.37
    """... so that days together must be this many times as unusual."""
    persistent_down: float = 4.1
    lasting: float = 1.0
    """Times the minimum impact that several days together must differ by, each of them by its part of that."""
    together: tuple[int, ...] = (2, 3, 4, 5, 6, 8)
    alike: float = 0.92
    """How much neighbouring days share: the noise of a long run's mean over that of independent days."""
    reference_uncertainty: float = 0.5
    newcomer: float = 3.7
    """Deviations that a total must be off since a series appeared in it."""

    window: int = 56
    memory: float = 0.975
    """What a day weighs against the day after it."""
    recent: float = 4.7
    """How quickly the passing part of a level fades."""
    drift: float = 0.024
    """Prior deviation of that passing part."""
    weekly_trend: float = 0.0108
    trend_rate: float = 0.02
    """How quickly it is learned how a series mostly grows, which is what its trend is drawn towards."""
    restless: int = 50
    """The age below which levels are still found: they forget sooner and may have steeper trends."""
    restless_memory: float = 0.92
    restless_trend: float = 0.1
    weekday_spread: float = 0.13
    """Prior deviation of single weekdays around working days and weekends."""
    odd_weekday_spread: float = 1.5
    """The same where spend happens on some weekdays only."""

    least_noise: float = 0.05
    usual_noise: float = 0.2
    usual_noise_days: float = 12
    """How many days of its own a series needs to outweigh what is usual."""
    youth: float = 0.3
    """What a day counts for the noise while its series is restless."""
    noise_from: int = 7
    noise_window: int = 168
    noise_memory: float = 0.99
    noise_memory_soon: float = 0.95
    calmer: float = 1.05
    """Times the noise of the last weeks that the noise is at most: what was restless once need not be now."""
    cut: float = 3.8
    """Typical deviations at which a surprise is cut before it counts as noise."""
    blunt: float = 2.9
    """Deviations from which on a day weighs less."""

    rest: float = 0.75
    """Deviations below what was expected at which a day of common rest teaches nothing."""
    mature: int = 14
    grown: int = 28
    """The age from which on days are judged together."""
    steady: int = 5
    """How many flagged days must agree to be the new level."""
    steady_down: int = 4
    held: int = 5
    """A level that was found by this many days before the last is accepted at once."""
    longest_event: int = 12
    told: int = 28
    """For how long a finding has told of the level that came with it ..."""
    stayed: float = 0.5
    """... if four of five days since then reach this share of it ..."""
    beyond: float = 4.5
    """... and the day is not this many deviations beyond that level."""
    continuing: float = 0.64
    """The share of an event that is still part of it."""
    continuing_deviations: float = 2.0
    remembered: int = 80
    """How long a level counts as one to fall back to."""
    returns: int = 27
    """How long a level counts as one to rise back to."""
    steep: float = 0.2
    """A rise of the level in two weeks from which falling back is a recovery."""

    faded: float = 0.6
    """The share of what was expected that none of so many days before reached: it had all but ended."""
    fading_days: int = 5

    slide: float = 0.2
    """A fall of the level in two weeks that says a series is being wound down; its falling on is no news."""

    seldom: float = 1.75
    """Times the highest day that one day must be, where spend comes now and then."""
    seldom_sum: float = 2.5
    """Times the highest sum of so many days that their sum must be."""
    seldom_days: tuple[int, ...] = (3, 5)
    seldom_doubt: float = 4.0
    """Days that one active day more takes from both: of few days the highest tells little."""
    seldom_row: tuple[int, ...] = (2, 3, 4, 5, 6)
    """Days within which spend that comes more often is looked at ..."""
    seldom_more: float = 0.6
    """... with so many deviations more than `persistent`."""
    seldom_uncertainty: float = 0.3
    seldom_weekly: float = 2.5
    """Times the highest day, where spend comes about once a week."""

    def unusual_together(self, days: int) -> float:
        """Deviations of so many days together that are unusual."""
        return self.persistent - self.persistent_less * math.log(days / 2)

    def of_a_mean(self, days: Days) -> Days:
        """Variance of the mean of so many neighbouring days, in units of the noise's."""
        return (1 + self.alike * (1 - 1 / days)) / days

    @property
    def floor(self) -> float:
        """US dollars below which nothing is told apart: the log scale is linear there."""
        return 0.1 * max(self.minimum_impact, 0.01)

    def dollars(self, logs: NDArray[np.float64]) -> NDArray[np.float64]:
        """US dollars of the log scale, never negative."""
        return self.floor * np.expm1(np.clip(logs, 0, _MOST))

    @classmethod
    def of(cls, sensitivity: Sensitivity, minimum_impact: float) -> Self:
        """The numbers of a sensitivity."""
        if sensitivity == "medium":
            return cls(minimum_impact)
        return cls(minimum_impact, **(_LOW if sensitivity == "low" else _HIGH))


_LOW: _Differences = {
    "deviations": 5.4,
    "deviations_down": 7.2,
    "relative": 0.45,
    "relative_down": 0.6,
    "persistent": 4.8,
    "persistent_down": 6.0,
    "newcomer": 5.0,
    "usual_noise_days": 12,
    "youth": 0.3,
}
_HIGH: _Differences = {
    "deviations": 3.1,
    "deviations_down": 4.1,
    "relative": 0.2,
    "relative_down": 0.3,
    "persistent": 2.9,
    "persistent_down": 3.3,
    "newcomer": 3.0,
    "usual_noise_days": 7.5,  # a young series is taken at its own word sooner
    "youth": 1.0,
}
