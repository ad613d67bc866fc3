"""Plants anomalies where they fit: never two near each other in one leaf, never where nothing could be seen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.detection.archetypes import weekdays
from benchmarks.detection.drafts import Draft, Planted
from benchmarks.detection.panels import Floats

DAYS_PER_MONTH = 30.4

_EVENTS_PER_SERIES_MONTH = 0.19
_TRIES = 60
_APART = 10
_RECOVERY = 7
_LEAST_USUAL = 2.5
_LEAST_EXCESS = 3.0


class Place(NamedTuple):
    """Where an event may begin."""

    draft: Draft
    day: int


Kind = Callable[["Injection"], bool]
"""Plants one event, or says that its draw did not fit."""


class Injection:
    """Everything that has been planted so far, and what the kinds of anomaly need in order to plant more."""

    def __init__(
        self,
        chance: np.random.Generator,
        dates: Sequence[dt.date],
        drafts: list[Draft],
        counted_from: Mapping[str, int],
        models: Sequence[str],
    ) -> None:
        self.chance = chance
        self.weekdays = weekdays(dates)
        self.drafts = drafts
        self.counted_from = counted_from
        self.models = models
        self._planted: list[Planted] = []

    def plant(self, kinds: Mapping[str, tuple[float, Kind]], filling: tuple[str, str]) -> list[Planted]:
        """Each kind by its share, not by chance, so that seeds can be compared. Grows `drafts` by new models.

        `filling`: the last two of the kinds, planted in place of others that found none as well.
        """
        total = _EVENTS_PER_SERIES_MONTH * self._series_months()
        shares = sum(share for share, _ in kinds.values())
        missing = 0
        for name, (share, kind) in kinds.items():
            wanted = round(total * share / shares)
            if name not in filling:
                missing += wanted - self._plant(kind, wanted)
            else:
                self._plant(kind, wanted + (missing // 2 if name == filling[0] else missing - missing // 2))
        return self._planted

    def _plant(self, kind: Kind, wanted: int) -> int:
        done = 0
        for _ in range(wanted * _TRIES):
            if done == wanted:
                break
            done += kind(self)
        return done

    def _series_months(self) -> float:
        return (
            sum(
                max(0, draft.looked_at_until - max(draft.first, self.counted_from[draft.organization]) + 1)
                for draft in self.drafts
            )
            / DAYS_PER_MONTH
        )

    def free(
        self, length: int, fit: Callable[[Draft], bool] = lambda _: True, least: float = _LEAST_USUAL
    ) -> Place | None:
        """Draws a leaf and a day; None where that leaf does not fit, or usually costs less than `least` US dollars."""
        draft = self.drafts[int(self.chance.integers(len(self.drafts)))]
        if not fit(draft):
            return None
        first = max(self.counted_from[draft.organization], draft.first + 28)
        last = draft.last - length - (14 if draft.ended else 0)
        if last <= first:
            return None
        day = int(self.chance.integers(first, last + 1))
        if draft.taken[max(0, day - _APART) : day + length + _APART].any() or draft.usual(day) < least:
            return None
        return Place(draft, day)

    def multiply(self, kind: str, place: Place, multiples: Floats) -> bool:
        """Multiplies the days from a place on, unless nothing was expected there or hardly a dollar would move."""
        draft, first = place
        days = slice(first, first + len(multiples))
        spend = draft.spend[days] * multiples
        if np.abs(spend - draft.spend[days]).sum() < _LEAST_EXCESS or draft.expected[first] <= 0:
            return False
        return self.replace(kind, place, spend)

    def replace(self, kind: str, place: Place, spend: Floats, *, quiet_until: int | None = None) -> bool:
        """Has these days cost that many US dollars, and labels them; no other event comes near."""
        draft, first = place
        last = first + len(spend) - 1
        days = slice(first, last + 1)
        excess = float(np.abs(spend - draft.spend[days]).sum())
        draft.spend[days] = spend
        self._planted.append(Planted(draft, kind, first, last, excess))
        draft.taken[max(0, first - _APART) : (last if quiet_until is None else quiet_until) + 15] = True
        draft.tag(last + 1, last + _RECOVERY, "recovery")
        return True
