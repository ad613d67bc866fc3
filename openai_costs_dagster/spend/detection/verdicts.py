"""The results of the detector, the annotations that it accepts, and the descriptions of its reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Floats
from openai_costs_dagster.spend.detection.state.day import REASONS, FailedTest, Reasons

_DESCRIPTIONS = {
    "": "within the expected range",
    "above": "above the expected range",
    "below": "below the expected range",
    "continues": "continues the episode of the previous days",
    "intermittent": "highest spend of an intermittent series so far",
    "new": "new series that multiplied or raised the total that it belongs to",
    "young": "not evaluated because the series is younger than 14 days",
    "migration": "offset by an opposite change of other series in the same project",
    "recovery": "back at an earlier normal level",
    "reported": "at the level of a recent finding",
    "minor": "unusual, but the difference is below the minimum impact",
    "suppressed": "suppressed: a holiday, a regular month-end rise, a common day of rest or a series that winds down",
    "expected": "marked as expected by a user",
}


@dataclass(frozen=True)
class Verdicts:
    """The results for every day and series, as arrays of the shape ``[day, series]``.

    `expected`, `lower` and `upper` are in US dollars. `score` is in standard deviations.
    """

    flagged: Flags
    """Whether the day is unusual, and differs from the expected amount by the minimum impact or more."""
    minor: Flags
    """Whether the day is unusual, but differs from the expected amount by less than the minimum impact."""
    score: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    reason: Reasons
    """The reason of each result: a key of `_DESCRIPTIONS`, or ``"<n> days"`` for a run of days."""
    tests: dict[tuple[int, int], FailedTest] = field(default_factory=dict)
    """The failed test of each flagged day, by row and column."""

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> Verdicts:
        """Return results of the given shape in which nothing is flagged."""
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
    """Facts about the evaluated days that their amounts do not show.

    `settled` and `known` have one value per day. `expected` has the shape ``[day, series]``.
    """

    settled: Flags | None = None
    """Whether OpenAI is no longer expected to change the day.

    Drops are flagged only on days that are final in this sense. None means that every day is final.
    """
    known: Flags | None = None
    """Whether the spend of the day is stored.

    A day that is not stored is neither flagged nor used for expectations. None means that every day is stored.
    """
    expected: Flags | None = None
    """Whether a person marked the day as expected.

    A marked day is not flagged, and its level becomes the normal level.
    """


def describe_reason(reason: str) -> str:
    """Return the description of a reason for people. A reason without a description is returned unchanged."""
    if reason.endswith(" days"):
        return f"the last {reason} together differ from the level before them"
    return _DESCRIPTIONS.get(reason, reason)
