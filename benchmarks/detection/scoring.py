"""The scoring: compares flags with labeled anomalies.

An anomaly is found if at least one of its days is flagged. A flag on a scored day outside every anomaly of its leaf
is a false alert. False alerts of a leaf within seven days count once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from benchmarks.detection.injection import DAYS_PER_MONTH
from benchmarks.detection.panels import Flags, LabelledPanel

_ALERT_DAYS = 7
_COLD_START_DAYS = 14
NATURAL = "natural"


class Outcome(NamedTuple):
    """The outcome of an anomaly."""

    kind: str
    excess: float
    """The US dollars that the anomaly moved."""
    delay: int | None
    """The days from the first day of the anomaly to its first flag; None if it was missed."""


@dataclass(frozen=True)
class Score:
    """The score of one or several panels. Shares are between 0 and 1."""

    outcomes: tuple[Outcome, ...] = ()
    false_alerts: Counter[str] = field(default_factory=Counter)
    """The number of false alerts, by tag."""
    days: Counter[str] = field(default_factory=Counter)
    """The number of scored series-days, by tag."""
    new_series: int = 0
    cold_starts: int = 0
    """The number of false alerts within the first two weeks of new series."""

    @property
    def found(self) -> list[Outcome]:
        """The outcomes of the found anomalies."""
        return [outcome for outcome in self.outcomes if outcome.delay is not None]

    @property
    def recall(self) -> float:
        """The share of anomalies that were found."""
        return _share(len(self.found), len(self.outcomes))

    @property
    def precision(self) -> float:
        """The found anomalies divided by found anomalies and false alerts."""
        return _share(len(self.found), len(self.found) + self.false_alerts.total())

    @property
    def precision_without_natural(self) -> float:
        """The precision without false alerts on natural jumps of real series."""
        return _share(len(self.found), len(self.found) + self.false_alerts.total() - self.false_alerts[NATURAL])

    @property
    def f1(self) -> float:
        """The harmonic mean of recall and precision."""
        return _share(2 * self.recall * self.precision, self.recall + self.precision)

    @property
    def series_months(self) -> float:
        """The scored months, added up over all leaf series."""
        return self.days.total() / DAYS_PER_MONTH

    @property
    def false_alerts_per_series_month(self) -> float:
        """The number of false alerts per series and month."""
        return _share(self.false_alerts.total(), self.series_months)

    @property
    def mean_delay(self) -> float:
        """The mean number of days from the start of a found anomaly to its first flag."""
        return _share(sum(outcome.delay or 0 for outcome in self.found), len(self.found))

    @property
    def dollars_found(self) -> float:
        """The recall weighted by the US dollars that each anomaly moved."""
        return _share(sum(one.excess for one in self.found), sum(one.excess for one in self.outcomes))

    @property
    def cold_starts_per_new_series(self) -> float:
        """The number of false alerts per new series within its first two weeks."""
        return _share(self.cold_starts, self.new_series)

    def of_kind(self, kind: str) -> Score:
        """Return the score of the anomalies of one kind, without false alerts."""
        return Score(tuple(outcome for outcome in self.outcomes if outcome.kind == kind))


def score(panel: LabelledPanel, flagged: Flags) -> Score:
    """Return the score of flags of the shape ``[day, leaf]``."""
    within = np.zeros(flagged.shape, bool)
    for event in panel.events:
        within[event.first : event.last + 1, event.leaf] = True
    alerts = _alerts(flagged & panel.scored & ~within)
    rows, columns = np.nonzero(alerts)
    new = np.array([leaf.new for leaf in panel.leaves])
    return Score(
        outcomes=tuple(
            Outcome(event.kind, event.excess, _delay(flagged[event.first : event.last + 1, event.leaf]))
            for event in panel.events
        ),
        false_alerts=Counter(panel.tags[alerts].tolist()),
        days=Counter(panel.tags[panel.scored].tolist()),
        new_series=int(new.sum()),
        cold_starts=int((new[columns] & (rows - panel.born[columns] < _COLD_START_DAYS)).sum()),
    )


def total(scores: Iterable[Score]) -> Score:
    """Return the score of several panels together."""
    parts = list(scores)
    return Score(
        outcomes=tuple(outcome for part in parts for outcome in part.outcomes),
        false_alerts=sum((part.false_alerts for part in parts), Counter()),
        days=sum((part.days for part in parts), Counter()),
        new_series=sum(part.new_series for part in parts),
        cold_starts=sum(part.cold_starts for part in parts),
    )


def _alerts(flagged: Flags) -> Flags:
    """Return the flags that count as alerts: at least seven days apart within each leaf."""
    alerts = np.zeros(flagged.shape, bool)
    for column in range(flagged.shape[1]):
        quiet_until = 0
        for row in np.flatnonzero(flagged[:, column]).tolist():
            if row >= quiet_until:
                alerts[row, column] = True
                quiet_until = row + _ALERT_DAYS
    return alerts


def _delay(flagged: Flags) -> int | None:
    return int(flagged.argmax()) if flagged.any() else None


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
