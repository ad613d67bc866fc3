"""Labeled panels: spend by day and leaf series, the true expectation, anomalies and scored days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]
Tags = NDArray[np.str_]

ONE_DAY = dt.timedelta(days=1)
INTERMITTENT = ("sparse", "tiny", "intermittent")
"""The archetypes whose earlier days do not predict the next day."""
TAGS = "U16"


class Leaf(NamedTuple):
    """A model within a project of an organization. Contenders do not see the archetype."""

    organization: str
    project: str
    model: str
    archetype: str
    new: bool
    """Whether the gradual start of the series is scored."""


class Event(NamedTuple):
    """An anomaly from row `first` to row `last`, both included."""

    leaf: int
    kind: str
    first: int
    last: int
    excess: float
    """The absolute difference to the spend without the anomaly, in US dollars."""


@dataclass(frozen=True, eq=False)
class LabelledPanel:
    """A panel with labels. The arrays have the shape ``[day, leaf]``."""

    first_day: dt.date
    leaves: tuple[Leaf, ...]
    events: tuple[Event, ...]
    spend: Floats
    """The spend in US dollars."""
    expected: Floats
    """The true expectation: the median spend without anomalies, in US dollars."""
    noise: Floats
    """The true standard deviation of the spend, on the log scale."""
    alive: Flags
    """Whether the day lies between the first spend and the last monitored day."""
    scored: Flags
    """Whether flags on the day are scored. The days before serve as history."""
    tags: Tags
    """The special circumstance of each day, or an empty string."""

    @property
    def days(self) -> list[dt.date]:
        """The UTC day of each row."""
        return [self.first_day + ONE_DAY * row for row in range(len(self.spend))]

    @property
    def born(self) -> Integers:
        """The row of the first spend of each leaf."""
        return np.asarray(self.alive.argmax(0))

    def part(self, columns: Sequence[int]) -> LabelledPanel:
        """Return a panel of some leaves, in the given order."""
        place = {column: number for number, column in enumerate(columns)}
        chosen = list(columns)
        return LabelledPanel(
            first_day=self.first_day,
            leaves=tuple(self.leaves[column] for column in chosen),
            events=tuple(event._replace(leaf=place[event.leaf]) for event in self.events if event.leaf in place),
            spend=self.spend[:, chosen],
            expected=self.expected[:, chosen],
            noise=self.noise[:, chosen],
            alive=self.alive[:, chosen],
            scored=self.scored[:, chosen],
            tags=self.tags[:, chosen],
        )
