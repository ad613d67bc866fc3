"""Panels of public daily series, scaled to US dollars, with injected anomalies.

Real series contain jumps that nobody labeled. A retrospective estimate serves as their true expectation.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.detection import archetypes
from benchmarks.detection.chance import log_uniform
from benchmarks.detection.drafts import LEARNING, Draft, panel
from benchmarks.detection.generator import MODELS, PROJECTS
from benchmarks.detection.hindsight import hindsight, natural_jumps
from benchmarks.detection.injection import Injection
from benchmarks.detection.kinds import FILLING, KINDS
from benchmarks.detection.panels import ONE_DAY, LabelledPanel

Values = list[tuple[dt.date, float]]

FILE = Path(__file__).resolve().parents[3] / "shared" / "series" / "real_daily.csv.gz"
"""The file of real series next to the checkout, which is not part of the project."""

_STREAM = 7_919
_YEAR = 2023
_SHORT, _LEARNING_SHORT = "tweets", 28

# An organization contains one family of series with the same dates, or series that begin in the same season. All series
# of an organization begin together and keep their weekdays and their season.
_ORGANIZATIONS: Mapping[str, tuple[str, ...]] = {
    "wikipage": ("wikipage-",),
    "madrid": ("madrid-",),
    "bike": ("bike-", "wiki-r-1", "wiki-r-4", "store-1004"),
    _SHORT: ("tweets-",),
    "winter": (
        "elec-0", "building-1", "bicimad-1", "store-1000", "store-1002", "uk-flights", "wiki-pm-1", "wiki-r-0",
        "wiki-r-3",
    ),
    "summer": (
        "bicimad-0", "bicimad-2", "elec-1", "pedestrians-0", "intermittent", "nyc-taxi", "wiki-pm-0", "store-1001",
    ),
    "autumn": ("wiki-r-2", "website-visits", "pedestrians-1", "bicimad-3", "ecommerce-api"),
}  # fmt: skip


def real(seed: int, file: Path = FILE) -> LabelledPanel:
    """Return a panel of about 65 leaf series over 12 to 18 months with 110 anomalies.

    Raises `OSError` if the file of real series does not exist.
    """
    chance = np.random.default_rng([seed, _STREAM])
    organizations = _read(file)
    begin = {name: max(values[0][0] for _, _, values in items) for name, items in organizations.items()}
    first = min(begin.values())
    last = max(values[-1][0] for items in organizations.values() for _, _, values in items)
    dates = [first + ONE_DAY * row for row in range((last - first).days + 1)]
    drafts: list[Draft] = []
    scored_from: dict[str, int] = {}
    for name, items in organizations.items():
        start = (begin[name] - first).days
        scored_from[name] = start + (_LEARNING_SHORT if name == _SHORT else LEARNING)
        drafts += _Organization(chance, dates, name, scored_from[name]).drafts(items, begin[name])
    anomalies = Injection(chance, dates, drafts, scored_from, MODELS).inject_all(KINDS, FILLING)
    return panel(dates, drafts, anomalies, scored_from)


def _read(file: Path) -> dict[str, list[tuple[str, str, Values]]]:
    """Return the name, family and values of each series, by organization."""
    series: dict[tuple[str, str], Values] = {}
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            day = dt.date.fromisoformat(row["date"])
            series.setdefault((row["series"], row["family"]), []).append((day, float(row["value"])))
    series_by_organization: dict[str, list[tuple[str, str, Values]]] = {}
    for (name, family), values in series.items():
        organization = next(key for key, prefixes in _ORGANIZATIONS.items() if name.startswith(prefixes))
        series_by_organization.setdefault(organization, []).append((name, family, _moved(sorted(values))))
    return series_by_organization


def _moved(values: Values) -> Values:
    """Move values to one common year by whole weeks. Weekdays stay, and the season moves by at most three days."""
    weeks = round((_YEAR - values[0][0].year) * 365.25 / 7)
    return [(day + dt.timedelta(weeks=weeks), value) for day, value in values]


class _Organization:
    def __init__(self, chance: np.random.Generator, dates: Sequence[dt.date], name: str, scored_from: int) -> None:
        self._chance, self._dates, self._name, self._counted_from = chance, dates, name, scored_from
        self._weekdays = archetypes.weekdays(dates)
        self._models: dict[str, list[str]] = {}

    def drafts(self, items: Sequence[tuple[str, str, Values]], begin: dt.date) -> list[Draft]:
        """Return the series in two or three projects, and two more models that are adopted gradually."""
        projects = self._chance.choice(PROJECTS, 4, replace=False)
        drafts = []
        for number, (_, family, values) in enumerate(items):
            known = [(day, value) for day, value in values if day >= begin]
            project = str(projects[number % (3 if len(items) > 5 else 2)])
            drafts.append(self._draft(family, project, known))
        if self._name == _SHORT:
            return drafts
        adopted = [self._adopted(drafts[-1 - int(self._chance.integers(len(items)))]) for _ in range(2)]
        return drafts + [draft for draft in adopted if draft is not None]

    def _draft(self, family: str, project: str, known: Values) -> Draft:
        first = (known[0][0] - self._dates[0]).days
        values = np.array([value for _, value in known])
        values = values * log_uniform(self._chance, 5, 2000) / np.median(values[values > 0])
        draft = self._blank(family, project)
        self._put(draft, first, values)
        draft.tag_each(natural_jumps(draft), "natural")
        return draft

    def _adopted(self, source: Draft) -> Draft | None:
        """Return a gradually adopted model in the shape of a real series, delayed by some weeks so that both differ."""
        if source.last - self._counted_from < 60 or not source.is_regular:
            return None
        draft = self._blank(source.archetype, source.project)
        lag = 7 * int(self._chance.integers(3, 8))
        values = source.spend[source.first : source.last + 1 - lag] * log_uniform(self._chance, 0.3, 2)
        self._put(draft, source.first + lag, values)
        archetypes.start_late(self._chance, draft, int(self._chance.integers(self._counted_from, source.last - 40)))
        draft.tag_each(natural_jumps(draft), "natural")
        return draft

    def _blank(self, family: str, project: str) -> Draft:
        if project not in self._models:
            self._models[project] = [str(model) for model in self._chance.permutation(MODELS)]
        return Draft.blank(self._name, project, self._models[project].pop(), family, len(self._dates))

    def _put(self, draft: Draft, first: int, values: np.ndarray) -> None:
        days = slice(first, first + len(values))
        draft.spend[days] = values
        draft.expected[days], draft.noise[days] = hindsight(values, self._weekdays[days])
        draft.first, draft.last = first, first + len(values) - 1
        draft.data_end = draft.last
