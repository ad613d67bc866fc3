"""Leaf series in the making, and how they become a panel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np

from benchmarks.detection.panels import SELDOM, TAGS, Event, Flags, Floats, LabelledPanel, Leaf

LEARNING = 60
"""Days at an organization's beginning without anomalies, on which nothing counts."""

_CENTS_OF_CENTS = 6
_LOOKED_AT_AFTER_THE_END = 45
_COLD = 14
_DYING = 30
_ORDINARY_TAGS = ("", "holiday", "month_end")


@dataclass(eq=False)
class Draft:
    """A leaf over all days of a panel; days are rows, dollars as in `LabelledPanel`."""

    organization: str
    project: str
    model: str
    archetype: str
    spend: Floats
    expected: Floats
    noise: Floats
    taken: Flags
    """Days on which no further event may be."""
    first: int
    last: int
    data_end: int
    """The last day for which its organization has data."""
    ended: bool = False
    """Whether `last` is an end for good, before the data's."""
    traits: set[str] = field(default_factory=set)
    day_tags: dict[int, str] = field(default_factory=dict)

    @classmethod
    def blank(cls, organization: str, project: str, model: str, archetype: str, days: int) -> Self:
        """Without spend."""
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
        """How long the panel is."""
        return len(self.spend)

    @property
    def is_regular(self) -> bool:
        """Whether its days tell what the next one costs."""
        return self.archetype not in SELDOM

    @property
    def looked_at_until(self) -> int:
        """The last day that anyone would still look at."""
        return min(self.data_end, self.last + _LOOKED_AT_AFTER_THE_END) if self.ended else self.data_end

    def tag(self, first: int, last: int, name: str) -> None:
        """Says what is special about these days, in place of what was said before."""
        self.tag_each(range(max(first, 0), min(last + 1, self.days)), name)

    def tag_each(self, days: Iterable[int], name: str) -> None:
        """The same of single days."""
        self.day_tags.update(dict.fromkeys(days, name))

    def usual(self, day: int, back: int = 28) -> float:
        """What a day with spend cost lately: the median of the true expectation, in US dollars."""
        past = self.expected[max(self.first, day - back) : day]
        past = past[past > 0]
        return float(np.median(past)) if len(past) else 0.0


class Planted(NamedTuple):
    """An event before its draft has a place in a panel."""

    draft: Draft
    kind: str
    first: int
    last: int
    excess: float


def panel(
    dates: Sequence[dt.date], drafts: Iterable[Draft], planted: Iterable[Planted], counted_from: Mapping[str, int]
) -> LabelledPanel:
    """Puts drafts with any spend side by side. `counted_from` is a row by organization."""
    spent = {draft: np.round(draft.spend, _CENTS_OF_CENTS) for draft in drafts}
    chosen = sorted(
        (draft for draft, spend in spent.items() if (spend > 0).any()),
        key=lambda draft: (draft.organization, draft.project, draft.model),
    )
    place = {draft: column for column, draft in enumerate(chosen)}
    rows = np.arange(len(dates))[:, None]
    spend = np.maximum(np.column_stack([spent[draft] for draft in chosen]), 0)
    born = (spend > 0).argmax(0)
    start = np.array([counted_from[draft.organization] for draft in chosen])
    alive = (rows >= born) & (rows <= np.array([draft.looked_at_until for draft in chosen]))
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
        elif young and day - born < _COLD:
            tags[day] = "cold_start"
        elif draft.ended and day > draft.last - _DYING:
            tags[day] = "dead"
        else:
            tags[day] = tag or ("other" if draft.is_regular else draft.archetype)
