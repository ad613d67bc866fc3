"""What is judged and what is true of it: spend by day and leaf series, its labels, and which of its days count."""

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
SELDOM = ("sparse", "tiny", "intermittent")
"""Archetypes whose days do not tell what the next one costs."""
TAGS = "U16"


class Leaf(NamedTuple):
    """A model within a project of an organization; what it is like is known to the benchmark alone."""

    organization: str
    project: str
    model: str
    archetype: str
    new: bool
    """Whether its ordinary beginning is judged too."""


class Event(NamedTuple):
    """An anomaly, on all days from `first` to `last`, both of which are rows."""

    leaf: int
    kind: str
    first: int
    last: int
    excess: float
    """US dollars more, or less, than there would have been without it."""


@dataclass(frozen=True, eq=False)
class LabelledPanel:
    """Everything by `[day, leaf]`."""

    first_day: dt.date
    leaves: tuple[Leaf, ...]
    events: tuple[Event, ...]
    spend: Floats
    """US dollars."""
    expected: Floats
    """The truth: the median of what a day costs without anomalies, in US dollars."""
    noise: Floats
    """Its standard deviation, on a log scale."""
    alive: Flags
    """From the first spend to the last day that anyone would still look at."""
    scored: Flags
    """The part of that on which a flag is either right or wrong; before it, rules may learn."""
    tags: Tags
    """What is special about a day, where something is."""

    @property
    def days(self) -> list[dt.date]:
        """The day of each row."""
        return [self.first_day + ONE_DAY * row for row in range(len(self.spend))]

    @property
    def born(self) -> Integers:
        """The row of each leaf's first spend."""
        return np.asarray(self.alive.argmax(0))

    def part(self, columns: Sequence[int]) -> LabelledPanel:
        """Some of its leaves, in the order given."""
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
