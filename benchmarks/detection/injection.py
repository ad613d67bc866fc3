"""The injection of anomalies: anomalies of one series keep a distance, and negligible anomalies are not injected."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.detection.archetypes import weekdays
from benchmarks.detection.drafts import Draft, InjectedAnomaly
from benchmarks.detection.panels import Floats

DAYS_PER_MONTH = 30.4

_EVENTS_PER_SERIES_MONTH = 0.19
_TRIES = 60
_DISTANCE_DAYS = 10
_RECOVERY_DAYS = 7
_MIN_USUAL_USD = 2.5
_MIN_EXCESS_USD = 3.0


class Place(NamedTuple):
    """A possible first day of an anomaly."""

    draft: Draft
    day: int


Kind = Callable[["Injection"], bool]
"""A function that injects one anomaly and returns whether its random draw fitted."""


class Injection:
    """The anomalies injected so far, and the operations that inject more."""

    def __init__(
        self,
        chance: np.random.Generator,
        dates: Sequence[dt.date],
        drafts: list[Draft],
        scored_from: Mapping[str, int],
        models: Sequence[str],
    ) -> None:
        self.chance = chance
        self.weekdays = weekdays(dates)
        self.drafts = drafts
        self.scored_from = scored_from
        self.models = models
        self._anomalies: list[InjectedAnomaly] = []

    def inject_all(self, kinds: Mapping[str, tuple[float, Kind]], filling: tuple[str, str]) -> list[InjectedAnomaly]:
        """Inject every kind according to its share and return all anomalies.

        The shares are exact, so that seeds can be compared. New models are added to `drafts`. `filling` names the last
        two kinds, which replace anomalies for which no place was found.
        """
        total = _EVENTS_PER_SERIES_MONTH * self._series_months()
        shares = sum(share for share, _ in kinds.values())
        missing = 0
        for name, (share, kind) in kinds.items():
            wanted = round(total * share / shares)
            if name not in filling:
                missing += wanted - self._inject(kind, wanted)
            else:
                self._inject(kind, wanted + (missing // 2 if name == filling[0] else missing - missing // 2))
        return self._anomalies

    def _inject(self, kind: Kind, wanted: int) -> int:
        injected = 0
        for _ in range(wanted * _TRIES):
            if injected == wanted:
                break
            injected += kind(self)
        return injected

    def _series_months(self) -> float:
        return (
            sum(
                max(0, draft.scored_until - max(draft.first, self.scored_from[draft.organization]) + 1)
                for draft in self.drafts
            )
            / DAYS_PER_MONTH
        )

    def free(
        self, length: int, fit: Callable[[Draft], bool] = lambda _: True, least: float = _MIN_USUAL_USD
    ) -> Place | None:
        """Draw a series and a day.

        Returns None if the series does not fit or usually costs less than `least` US dollars per day.
        """
        draft = self.drafts[int(self.chance.integers(len(self.drafts)))]
        if not fit(draft):
            return None
        first = max(self.scored_from[draft.organization], draft.first + 28)
        last = draft.last - length - (14 if draft.ended else 0)
        if last <= first:
            return None
        day = int(self.chance.integers(first, last + 1))
        if draft.taken[max(0, day - _DISTANCE_DAYS) : day + length + _DISTANCE_DAYS].any() or draft.usual(day) < least:
            return None
        return Place(draft, day)

    def multiply(self, kind: str, place: Place, multiples: Floats) -> bool:
        """Multiply the days from a place on.

        Returns False if no spend is expected there or the change is negligible.
        """
        draft, first = place
        days = slice(first, first + len(multiples))
        spend = draft.spend[days] * multiples
        if np.abs(spend - draft.spend[days]).sum() < _MIN_EXCESS_USD or draft.expected[first] <= 0:
            return False
        return self.replace(kind, place, spend)

    def replace(self, kind: str, place: Place, spend: Floats, *, quiet_until: int | None = None) -> bool:
        """Replace the spend of some days, label them as an anomaly and block the days around them."""
        draft, first = place
        last = first + len(spend) - 1
        days = slice(first, last + 1)
        excess = float(np.abs(spend - draft.spend[days]).sum())
        draft.spend[days] = spend
        self._anomalies.append(InjectedAnomaly(draft, kind, first, last, excess))
        draft.taken[max(0, first - _DISTANCE_DAYS) : (last if quiet_until is None else quiet_until) + 15] = True
        draft.tag(last + 1, last + _RECOVERY_DAYS, "recovery")
        return True
