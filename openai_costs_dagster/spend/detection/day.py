"""One day while it is judged: what was expected of each series, what came, and what is thought of it so far."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from openai_costs_dagster.spend.detection.panel import Flags, Floats, Integers
from openai_costs_dagster.spend.detection.rhythm import Rhythm

Reasons = NDArray[np.str_]
REASONS: Any = np.dtype("U12")


@dataclass
class Day:
    """By series. Money in US dollars; `residual`, `week_effect` and `spread` on the log scale.

    What suspects sets `up`, `down`, `reason`, and `began` where days before belong to it; what forgives takes them
    back and sets `excused`.
    """

    row: int
    date: dt.date
    spend: Floats
    age: Integers
    """Days since the first spend."""
    alive: Flags
    mature: Flags
    settled: bool
    rhythm: Rhythm
    uncertainty: Floats
    """Variance of the prediction, in units of the noise's."""
    spread: Floats
    week_effect: Floats
    expected: Floats
    lower: Floats
    upper: Floats
    residual: Floats
    score: Floats
    """The residual in standard deviations of the prediction."""
    alerts: Integers
    """Of the weeks before."""
    fresh: Flags
    """Not within an event that began before."""
    began: Integers
    up: Flags
    down: Flags
    excused: Flags
    unlike: Flags
    """A day of rest: neither flagged for being low nor a lesson about ordinary days."""
    reason: Reasons

    @property
    def out(self) -> Flags:
        """What is flagged so far."""
        return self.up | self.down

    @property
    def difference(self) -> Floats:
        """Spend less what was expected."""
        return self.spend - self.expected

    def often(self, share: float, window: int) -> Flags:
        """Whether a series spent on at least this share of the days of the window that it lived."""
        return self.rhythm.active_days >= share * np.minimum(self.age, window)

    def accuse(self, found: Flags, reason: str, *, up: bool) -> None:
        """Flags what was not flagged."""
        found = found & ~self.out
        if up:
            self.up |= found
        else:
            found &= self.settled
            self.down |= found
        self.reason[found] = reason

    def acquit(self, found: Flags | int, reason: str) -> None:
        """Takes flags back."""
        self.up[found] = self.down[found] = False
        self.reason[found] = reason
