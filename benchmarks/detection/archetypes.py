"""The normal spend of leaf series: weekly pattern, level, noise, start and end."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.detection.chance import log_uniform
from benchmarks.detection.drafts import Draft
from benchmarks.detection.panels import Floats, Integers

SHARES: Mapping[str, float] = {
    "steady": 28,
    "weekday_only": 13,
    "growth": 9,
    "decline": 5,
    "drift": 11,
    "noisy": 10,
    "small": 8,
    "sparse": 11,
    "tiny": 8,
}
"""The relative frequency of each archetype."""

_RESTING = 0.8  # share of regular series that rest on holidays; the others are automated
_HEAVY_TAILED = 0.2
_CORRELATED = 0.0, 0.5  # range of the correlation between the noise of neighboring days
_NOISE = {"noisy": (0.28, 0.5), "sparse": (0.2, 0.5), "tiny": (0.25, 0.6)}
_USUAL_NOISE = 0.06, 0.35
_ADOPTION_NOISE = 0.15


def weekdays(dates: Sequence[dt.date]) -> Integers:
    """Return the weekdays of dates; 0 is Monday."""
    return np.array([day.weekday() for day in dates])


def fill(
    chance: np.random.Generator, draft: Draft, level: float, dates: Sequence[dt.date], resting: Mapping[int, float]
) -> None:
    """Fill a draft with spend and the true expectation, around `level` US dollars per day."""
    days, kind = weekdays(dates), draft.archetype
    week, weekend = _week(chance, kind)
    expected = _levels(chance, kind, level, len(days)) * week[days]
    if draft.is_regular and chance.random() < _RESTING:
        _rest(chance, kind, expected, weekend, resting)
        draft.traits.add("holidays")
    heavy = chance.random() < _HEAVY_TAILED
    correlation = chance.uniform(*_CORRELATED)
    deviation = chance.uniform(*_NOISE[kind]) if kind in _NOISE else log_uniform(chance, *_USUAL_NOISE)
    if heavy:
        draft.traits.add("heavy_tail")
    draft.spend = expected * np.exp(_noise(chance, len(days), deviation, correlation, heavy=heavy))
    draft.expected = expected
    draft.noise[:] = deviation
    if kind == "small":
        _add_noise(chance, draft, level, deviation)
    if kind == "sparse":
        active = _active(chance, days)
        draft.expected, draft.spend = draft.expected * active, draft.spend * active


def add_month_ends(chance: np.random.Generator, draft: Draft, dates: Sequence[dt.date]) -> None:
    """Add a rise to 1.5 to 4 times the normal cost at each turn of the month."""
    size, before, after = chance.uniform(1.5, 4), int(chance.integers(0, 3)), int(chance.integers(0, 3))
    before += before + after == 0
    draft.traits.add("month_end")
    for row, day in enumerate(dates):
        next_month = (day.replace(day=28) + dt.timedelta(4)).replace(day=1)
        if (next_month - day).days <= before or day.day <= after:
            draft.expected[row] *= size
            draft.spend[row] *= size
            draft.tag(row, row, "month_end")


def start_late(chance: np.random.Generator, draft: Draft, day: int) -> None:
    """Let a series start at `day` and rise from a few percent to its full level over two to eight weeks.

    The noise is larger until the full level is reached.
    """
    draft.first = day
    draft.traits.add("late_start")
    progress = (np.arange(draft.days) - day) / (7 * chance.uniform(2, 8))
    share = np.clip(1 / (1 + np.exp(-6 * (progress - 0.55))), chance.uniform(0.02, 0.06), None)
    share[:day] = 0
    young = progress < 1
    draft.expected = draft.expected * share
    draft.spend = draft.spend * share * np.exp(chance.normal(0, _ADOPTION_NOISE, draft.days) * young)
    draft.noise = np.where(young, np.sqrt(draft.noise**2 + _ADOPTION_NOISE**2), draft.noise)


def end(chance: np.random.Generator, draft: Draft, day: int) -> None:
    """End a series at `day`. In 60 % of cases it winds down over the two to five weeks before."""
    share = np.ones(draft.days)
    share[day:] = 0
    if chance.random() < 0.6:
        first = max(day - int(chance.integers(14, 36)), draft.first)
        share[first:day] = np.linspace(1, 0.02, day - first)
    draft.expected, draft.spend = draft.expected * share, draft.spend * share
    draft.last, draft.ended = day - 1, True
    draft.traits.add("dies")


def migrate(chance: np.random.Generator, old: Draft, new: Draft, day: int) -> None:
    """Move spend from one model of a project to another, at once or over weeks, without changing their sum."""
    span = int(chance.choice([1, 1, int(chance.integers(3, 10)), int(chance.integers(10, 30))]))
    moved = np.clip((np.arange(old.days) - day + 1) / span, 0, 1) * chance.choice([1.0, chance.uniform(0.6, 0.95)])
    new.expected, new.spend = old.expected * moved, old.spend * moved * np.exp(chance.normal(0, 0.03, old.days))
    old.expected, old.spend = old.expected * (1 - moved), old.spend * (1 - moved)
    new.noise = np.sqrt(old.noise**2 + 0.03**2)
    new.first, new.last, new.ended = day, old.last, old.ended
    new.archetype = old.archetype
    new.traits |= old.traits & {"month_end", "heavy_tail"}
    if "month_end" in old.traits:
        new.day_tags = {row: tag for row, tag in old.day_tags.items() if tag == "month_end" and row >= day}
    if moved[-1] == 1:
        old.last, old.ended = min(old.last, day + span - 2), True
    for draft in (old, new):
        draft.tag(day - 1, day + span + 7, "migration")
        draft.taken[max(day - 14, 0) : day + span + 21] = True


def _week(chance: np.random.Generator, kind: str) -> tuple[Floats, float]:
    """Return the share of the level on each weekday, and by how much weekends are lower."""
    week = np.ones(7)
    weekend = float(chance.choice([0, chance.uniform(0.05, 0.3), chance.uniform(0.3, 0.85)], p=[0.25, 0.4, 0.35]))
    week[5:] = 1 - weekend * chance.uniform(0.8, 1, 2)
    week[:5] *= np.exp(chance.normal(0, 0.04, 5))
    if kind == "weekday_only":
        week[5:] = 0
    return week, weekend


def _levels(chance: np.random.Generator, kind: str, level: float, count: int) -> Floats:
    days = np.arange(count)
    if kind == "growth":
        rate = chance.uniform(0.002, 0.010)
        return np.asarray(level * np.exp(rate * (days - count * chance.uniform(0.4, 0.8))))
    if kind == "decline":
        return np.asarray(level * np.exp(-chance.uniform(0.002, 0.007) * (days - count / 2)))
    step = chance.uniform(0.012, 0.030) if kind == "drift" else 0.004
    walk = np.cumsum(chance.normal(0, step, count))
    return np.asarray(level * np.exp(walk - walk.mean()))


def _rest(
    chance: np.random.Generator, kind: str, expected: Floats, weekend: float, resting: Mapping[int, float]
) -> None:
    """Lower the spend on holidays. Series with low weekends also have low holidays."""
    depth = chance.uniform(0.25, 0.8) * (0.4 + 0.6 * min(1, weekend * 2))
    for row, share in resting.items():
        expected[row] *= 1 - depth * share
        if kind == "weekday_only" and share >= 0.9 and depth > 0.4:
            expected[row] *= 0.15


def _noise(chance: np.random.Generator, count: int, deviation: float, correlation: float, *, heavy: bool) -> Floats:
    """Return autocorrelated noise on the log scale.

    Heavy tails come from a Student's t distribution with 3.5 to 6 degrees of freedom and the same standard deviation.
    """
    freedom = chance.uniform(3.5, 6)
    raw = chance.standard_normal(count) if not heavy else chance.standard_t(freedom, count)
    if heavy:
        raw /= math.sqrt(freedom / (freedom - 2))
    noise = np.zeros(count)
    for day in range(count):
        before = noise[day - 1] if day else 0.0
        noise[day] = correlation * before + math.sqrt(1 - correlation**2) * raw[day] if day else raw[0]
    return noise * deviation


def _add_noise(chance: np.random.Generator, draft: Draft, level: float, deviation: float) -> None:
    """Add a base cost and noise in US dollars to a small series."""
    dollars = level * chance.uniform(0.1, 0.3)
    base = level * chance.uniform(0, 0.3)
    draft.expected = draft.expected + base
    noisy = draft.spend + base + chance.normal(0, dollars, draft.days)
    draft.spend = np.maximum(noisy, base * 0.5 + 0.01)
    draft.noise = np.sqrt(deviation**2 + (dollars / np.maximum(draft.expected, dollars)) ** 2)


def _active(chance: np.random.Generator, days: Integers) -> np.ndarray:
    """Return the active days of an intermittent series: 5 to 40 % of days, or a weekly job with gaps."""
    share = chance.uniform(0.05, 0.40)
    if share < 0.2 and chance.random() < 0.4:
        return np.asarray((days == chance.integers(0, 5)) & (chance.random(len(days)) < 0.95))
    return np.asarray(chance.random(len(days)) < share)
