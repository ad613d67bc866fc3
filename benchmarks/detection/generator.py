"""The generator of synthetic panels with labeled anomalies. The same seed always gives the same panel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np

from benchmarks.detection import archetypes, rest_days
from benchmarks.detection.chance import log_uniform, weighted
from benchmarks.detection.drafts import LEARNING, Draft, panel
from benchmarks.detection.injection import Injection
from benchmarks.detection.kinds import FILLING, KINDS
from benchmarks.detection.panels import ONE_DAY, LabelledPanel

MODELS = (
    "gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5-codex", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o",
    "gpt-4o-mini", "o3", "o3-mini", "o4-mini", "gpt-image-1", "gpt-realtime", "whisper-1", "tts-1",
    "text-embedding-3-small", "text-embedding-3-large",
)  # fmt: skip
PROJECTS = (
    "search", "support-bot", "batch", "etl", "assistant", "copilot", "evals", "summaries", "ocr", "ranking", "chat",
    "docs", "research", "moderation", "sandbox", "agents", "translate", "reports",
)  # fmt: skip
_ORGANIZATIONS = (
    "acme", "birch", "cobalt", "delta", "ember", "fjord", "garnet", "harbor", "iris", "juniper", "kestrel", "lumen",
    "maple", "nimbus",
)  # fmt: skip
_FIRST_DAY = dt.date(2024, 2, 1)
_STREAM = 104_729  # a random stream different from that of the real series

_MONTH_ENDS, _LATE, _ENDS, _MIGRATES = 0.09, 0.13, 0.05, 0.28


def synthetic(seed: int) -> LabelledPanel:
    """Return a panel of about ten months with 11 to 14 organizations, 200 leaf series and 250 anomalies."""
    chance = np.random.default_rng([seed, _STREAM])
    first = _FIRST_DAY + ONE_DAY * int(chance.integers(0, 330))
    dates = [first + ONE_DAY * row for row in range(int(chance.integers(285, 316)))]
    drafts: list[Draft] = []
    scored_from: dict[str, int] = {}
    for name in _ORGANIZATIONS[: int(chance.integers(11, 15))]:
        start = 0 if chance.random() < 0.7 else int(chance.integers(10, 70))
        scored_from[name] = start + LEARNING
        drafts += _Organization(chance, dates, name, start).drafts()
    for draft in drafts:
        draft.expected[: draft.first] = draft.spend[: draft.first] = 0
    anomalies = Injection(chance, dates, drafts, scored_from, MODELS).inject_all(KINDS, FILLING)
    return panel(dates, drafts, anomalies, scored_from)


class _Organization:
    def __init__(self, chance: np.random.Generator, dates: Sequence[dt.date], name: str, start: int) -> None:
        self._chance, self._dates, self._name, self._start = chance, dates, name, start
        self._resting = rest_days.rests(weighted(chance, rest_days.REGIONS), dates)
        self._dollars = log_uniform(chance, 25, 500)

    def drafts(self) -> list[Draft]:
        """Return the series of three to five projects. The last project of a large organization is small."""
        projects = self._chance.choice(PROJECTS, int(self._chance.integers(3, 6)), replace=False)
        drafts: list[Draft] = []
        for number, project in enumerate(projects):
            small = number == len(projects) - 1 and self._dollars > 60
            drafts += self._project(str(project), small=small)
        return drafts

    def _project(self, project: str, *, small: bool) -> list[Draft]:
        chance = self._chance
        share = chance.uniform(0.01, 0.04) if small else log_uniform(chance, 0.4, 2)
        models = list(chance.permutation(MODELS))
        drafts: list[Draft] = []
        for _ in range(int(chance.integers(2, 6))):
            drafts.append(self._draft(project, models.pop(), self._dollars * share, small=small))
            self._live(drafts[-1], late=len(drafts) > 1)
        if chance.random() < _MIGRATES:
            drafts += self._migrated(drafts, models.pop())
        for draft in drafts:
            if "holidays" in draft.traits:
                for row in self._resting:
                    draft.day_tags.setdefault(row, "holiday")
        return drafts

    def _draft(self, project: str, model: str, dollars: float, *, small: bool) -> Draft:
        chance = self._chance
        archetype = weighted(chance, archetypes.SHARES)
        level = dollars * log_uniform(chance, 0.15, 3)
        if archetype == "small":
            level = log_uniform(chance, 2, 12)
        elif archetype == "tiny":
            level = log_uniform(chance, 0.003, 0.6)
        elif not small:
            level = max(level, chance.uniform(1.5, 9))
        draft = Draft.blank(self._name, project, str(model), archetype, len(self._dates))
        archetypes.fill(chance, draft, level, self._dates, self._resting)
        draft.first = self._start
        if small:
            draft.traits.add("small_project")
        return draft

    def _live(self, draft: Draft, *, late: bool) -> None:
        """Add month ends, a late start and an end at random."""
        chance, days = self._chance, draft.days
        if draft.is_regular and chance.random() < _MONTH_ENDS:
            archetypes.add_month_ends(chance, draft, self._dates)
        if late and chance.random() < _LATE:
            archetypes.start_late(chance, draft, int(chance.integers(self._start + LEARNING, days - 30)))
        if chance.random() < _ENDS and days - draft.first > 150:
            archetypes.end(chance, draft, int(chance.integers(draft.first + 110, days - 10)))

    def _migrated(self, drafts: Sequence[Draft], model: str) -> list[Draft]:
        chance = self._chance
        fit = [draft for draft in drafts if draft.is_regular and draft.first == self._start and not draft.ended]
        if not fit:
            return []
        new = Draft.blank(self._name, fit[0].project, str(model), "", len(self._dates))
        old = fit[int(chance.integers(len(fit)))]
        archetypes.migrate(chance, old, new, int(chance.integers(self._start + LEARNING, old.days - 20)))
        return [new]
