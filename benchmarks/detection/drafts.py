"""Drafts of leaf series, and the panel that is built from them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np

from benchmarks.detection.panels import INTERMITTENT, TAGS, Event, Flags, Floats, LabelledPanel, Leaf

LEARNING = 60
"""The number of days at the start of an organization that contain no anomalies and are not scored."""

_DECIMALS = 6
_SCORED_AFTER_END_DAYS = 45
_COLD_START_DAYS = 14
_ENDING_DAYS = 30
_ORDINARY_TAGS = ("", "holiday", "month_end")


@dataclass(eq=False)
class Draft:
    """A leaf series over all days of a panel. Days are rows; amounts are US dollars."""

    organization: str
    project: str
    model: str
    archetype: str
    spend: Floats
    expected: Floats
    noise: Floats
    taken: Flags
    """The days on which no further anomaly may be injected."""
    first: int
    last: int
    data_end: int
    """The last day with data of the organization."""
    ended: bool = False
    """Whether the series ends at `last` while its organization continues."""
    traits: set[str] = field(default_factory=set)
    day_tags: dict[int, str] = field(default_factory=dict)

    @classmethod
    def blank(cls, organization: str, project: str, model: str, archetype: str, days: int) -> Self:
        """Return a draft without spend."""
        return cls(
            organization,
            project,
            model,
            archetype,
            spend=np.zeros(days),
            expected=np.zeros(days),
            noise=np.full(days, 0.2),
            taken=np.zeros(days, bool),
            first=0,
            last=days - 1,
            data_end=days - 1,
        )

    @property
    def days(self) -> int:
        """The number of days of the panel."""
        return len(self.spend)

    @property
    def is_regular(self) -> bool:
        """Whether earlier days predict the next day."""
        return self.archetype not in INTERMITTENT

    @property
    def scored_until(self) -> int:
        """The last scored day; some weeks after its end, nobody monitors a series anymore."""
        return min(self.data_end, self.last + _SCORED_AFTER_END_DAYS) if self.ended else self.data_end

    def tag(self, first: int, last: int, name: str) -> None:
        """Set the tag of the days from `first` to `last`, replacing earlier tags."""
        self.tag_each(range(max(first, 0), min(last + 1, self.days)), name)

    def tag_each(self, days: Iterable[int], name: str) -> None:
        """Set the tag of single days, replacing earlier tags."""
        self.day_tags.update(dict.fromkeys(days, name))

    def usual(self, day: int, back: int = 28) -> float:
        """Return the median true expectation of recent days with spend, in US dollars."""
        past = self.expected[max(self.first, day - back) : day]
        past = past[past > 0]
        return float(np.median(past)) if len(past) else 0.0


class InjectedAnomaly(NamedTuple):
    """An anomaly of a draft that has no column in a panel yet."""

    draft: Draft
    kind: str
    first: int
    last: int
    excess: float


def panel(
    dates: Sequence[dt.date],
    drafts: Iterable[Draft],
    planted: Iterable[InjectedAnomaly],
    scored_from: Mapping[str, int],
) -> LabelledPanel:
    """Return the panel of all drafts with spend. `scored_from` is the first scored row by organization."""
    spent = {draft: np.round(draft.spend, _DECIMALS) for draft in drafts}
    chosen = sorted(
        (draft for draft, spend in spent.items() if (spend > 0).any()),
        key=lambda draft: (draft.organization, draft.project, draft.model),
    )
    place = {draft: column for column, draft in enumerate(chosen)}
    rows = np.arange(len(dates))[:, None]
    spend = np.maximum(np.column_stack([spent[draft] for draft in chosen]), 0)
    born = (spend > 0).argmax(0)
    start = np.array([scored_from[draft.organization] for draft in chosen])
    alive = (rows >= born) & (rows <= np.array([draft.scored_until for draft in chosen]))
    young = born > start - 5
    tags = np.zeros(spend.shape, TAGS)
    for column, draft in enumerate(chosen):
        _fill_tags(tags[:, column], draft, int(born[column]), young=bool(young[column]))
    return LabelledPanel(
        first_day=dates[0],
        leaves=tuple(_leaf(draft, new=bool(young[column])) for column, draft in enumerate(chosen)),
        events=tuple(sorted(Event(place[one.draft], one.kind, one.first, one.last, one.excess) for one in planted)),
        spend=spend,
        expected=np.column_stack([draft.expected for draft in chosen]),
        noise=np.column_stack([draft.noise for draft in chosen]),
        alive=alive,
        scored=alive & (rows >= start),
        tags=tags,
    )


def _leaf(draft: Draft, *, new: bool) -> Leaf:
    ordinary = "new_model" not in draft.traits
    return Leaf(draft.organization, draft.project, draft.model, draft.archetype, new=new and ordinary)


def _fill_tags(tags: np.ndarray, draft: Draft, born: int, *, young: bool) -> None:
    for day in range(len(tags)):
        tag = draft.day_tags.get(day, "")
        if tag not in _ORDINARY_TAGS:
            tags[day] = tag
        elif young and day - born < _COLD_START_DAYS:
            tags[day] = "cold_start"
        elif draft.ended and day > draft.last - _ENDING_DAYS:
            tags[day] = "dead"
        else:
            tags[day] = tag or ("other" if draft.is_regular else draft.archetype)
