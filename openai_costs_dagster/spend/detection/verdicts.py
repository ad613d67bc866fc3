"""What the detector decides about each series and day, and the words for its reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Floats
from openai_costs_dagster.spend.detection.state.day import REASONS, FailedTest, Reasons

_DESCRIPTIONS = {
    "": "within its range",
    "above": "above its range",
    "below": "below its range",
    "continues": "the event of the days before goes on",
    "intermittent": "spends seldom, and more in these days than in any before",
    "new": "too young for a range of its own, and the total that it belongs to jumped, or it multiplied",
    "young": "too young to be judged",
    "migration": "others of its project changed as much the other way",
    "recovery": "back at an earlier level",
    "reported": "the level that a finding of the last weeks announced",
    "minor": "unusual, and too small to be worth anyone's time",
    "suppressed": "out of its range on a holiday, a month's end, or a day on which most of the organization rested",
    "expected": "said to be expected",
}


@dataclass(frozen=True)
class Verdicts:
    """By day and series; dollars but for `score`, which counts standard deviations."""

    flagged: Flags
    """Unusual and worth someone's time."""
    minor: Flags
    """Unusual, and too small for that."""
    score: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    reason: Reasons
    tests: dict[tuple[int, int], FailedTest] = field(default_factory=dict)
    """By row and column of each flagged day: the test that it failed."""

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> Verdicts:
        """Nothing judged yet."""
        return cls(
            flagged=np.zeros(shape, bool),
            minor=np.zeros(shape, bool),
            score=np.zeros(shape),
            expected=np.zeros(shape),
            lower=np.zeros(shape),
            upper=np.zeros(shape),
            reason=np.zeros(shape, REASONS),
        )


@dataclass(frozen=True)
class Annotations:
    """What is known of a panel's days beside spend. `expected` is by day and series, the others by day."""

    settled: Flags | None = None
    """Whether spend is final; no drop is seen on other days. None: all are."""
    known: Flags | None = None
    """Whether spend is known at all; unknown days are not judged and teach nothing. None: all are."""
    expected: Flags | None = None
    """What someone said was expected: it is not flagged, and its level is the normal one from then on."""


def describe_reason(reason: str) -> str:
    """A reason for people; some days together against the level before them are counted."""
    if reason.endswith(" days"):
        return f"{reason} together differ from the level before them"
    return _DESCRIPTIONS.get(reason, reason)
