"""The kinds of anomalies. Each function injects one anomaly if its random draw fits and returns whether it did."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.detection.chance import log_uniform, multiple
from benchmarks.detection.drafts import Draft
from benchmarks.detection.injection import Injection, Kind, Place
from benchmarks.detection.panels import Floats

LABELLED = 14
"""The number of days for which a new level is labeled as an anomaly; after that it is the normal level."""

_SMALL_SHARE = 0.02  # share of the organization's cost
_FOREVER = 10_000  # days


def spike(into: Injection) -> bool:
    """One or two days at 1.5 to 8 times their normal cost."""
    length = int(into.chance.choice([1, 1, 2]))
    place = into.free(length, _is_not_tiny)
    if not place or (place.draft.expected[place.day : place.day + length] <= 0).any():
        return False
    return into.multiply("spike", place, np.full(length, multiple(into.chance, 1.5, 8)))


def runaway(into: Injection) -> bool:
    """A runaway loop: 3 to 10 days at 1.6 to 6 times their normal cost, sudden or growing."""
    length = int(into.chance.integers(3, 11))
    place = into.free(length, _is_not_tiny)
    if not place:
        return False
    top = multiple(into.chance, 1.6, 6)
    multiples = np.full(length, top)
    if into.chance.random() >= 0.5:
        multiples = np.geomspace(min(1.25, top), top * 1.3, length)
    if place.draft.is_regular:
        return into.multiply("runaway", place, multiples)
    usual = place.draft.usual(place.day, 120)
    return into.replace("runaway", place, usual * multiples * _wobble(into, 0.15, length))


def ramp(into: Injection) -> bool:
    """A leak: 3 to 8 % more every day for two to four weeks, up to six times the normal cost."""
    length = int(into.chance.integers(14, 29))
    place = into.free(length, _is_regular)
    if not place:
        return False
    rate = into.chance.uniform(0.03, 0.08)
    return into.multiply("ramp", place, np.minimum((1 + rate) ** np.arange(1, length + 1), 6))


def drop(into: Injection) -> bool:
    """An outage: no spend for 2 to 7 days."""
    return _drop(into, "drop", 0.0)


def partial_drop(into: Injection) -> bool:
    """A partial outage: 15 to 55 % of the normal cost for 2 to 7 days."""
    return _drop(into, "partial_drop", into.chance.uniform(0.15, 0.55))


def level_shift(into: Injection) -> bool:
    """A sudden rise to 1.5 to 3 times the normal cost, for at least a month or permanently."""
    place = into.free(LABELLED + 7, _is_regular)
    if not place:
        return False
    draft, first = place
    stay = _FOREVER if into.chance.random() < 0.5 else int(into.chance.integers(28, 90))
    end = _free_until(draft, first, min(first + stay, draft.last + 1))
    if end is None:
        return False
    size, for_good = multiple(into.chance, 1.5, 3), end == draft.last + 1
    shifted = draft.spend[first:end] * size
    draft.spend[first + LABELLED : end] = shifted[LABELLED:]
    draft.expected[first + LABELLED : end] *= size
    into.replace("level_shift", place, shifted[:LABELLED], quiet_until=first + 45 if for_good else end + 7)
    draft.tag(first + LABELLED, end - 1, "after_shift")
    if not for_good:
        draft.tag(end, end + 7, "recovery")
    return True


def weekend(into: Injection) -> bool:
    """A weekend with spend in a series that spends on weekdays only."""
    place = into.free(2, lambda draft: draft.archetype == "weekday_only")
    if not place:
        return False
    draft, day = place
    saturday = day + int((5 - into.weekdays[day]) % 7)
    if saturday + 8 > draft.last or draft.taken[saturday : saturday + 9].any():
        return False
    level = draft.usual(saturday) * into.chance.uniform(0.35, 1.5)
    return into.replace("weekend", Place(draft, saturday), level * _wobble(into, 0.15, 2))


def new_model(into: Injection) -> bool:
    """A new model at 40 to 200 % of its project's cost from its first day on, for some days or permanently."""
    chance = into.chance
    beside = into.drafts[int(chance.integers(len(into.drafts)))]
    earliest, latest = into.scored_from[beside.organization] + 5, beside.data_end - 18
    if latest <= earliest or not beside.is_regular:
        return False
    first = int(chance.integers(earliest, latest))
    mates = [draft for draft in into.drafts if _project(draft) == _project(beside)]
    total = sum(draft.expected[max(0, first - 14) : first].mean() for draft in mates)
    if total < 15 or any("new_model" in draft.traits for draft in mates):
        return False
    unused = [model for model in into.models if model not in {draft.model for draft in mates}]
    draft = Draft.blank(beside.organization, beside.project, str(chance.choice(unused)), "new_model", beside.days)
    is_permanent = chance.random() < 0.4
    length = LABELLED if is_permanent else int(chance.integers(3, 13))
    end = beside.data_end + 1 if is_permanent else first + length
    deviation = log_uniform(chance, 0.08, 0.3)
    spend = total * chance.uniform(0.4, 2.0) * np.exp(chance.normal(0, deviation, end - first))
    draft.noise[:] = deviation
    draft.spend[first + length : end] = spend[length:]
    draft.expected[first + length : end] = np.median(spend)
    draft.first, draft.last, draft.data_end, draft.ended = first, end - 1, beside.data_end, not is_permanent
    draft.traits.add("new_model")
    into.drafts.append(draft)
    return into.replace("new_model", Place(draft, first), spend[:length])


def young(into: Injection) -> bool:
    """A sudden rise of a gradually adopted model within its first two weeks."""
    chance = into.chance
    fit = [draft for draft in into.drafts if _is_being_adopted(draft)]
    if not fit:
        return False
    draft = fit[int(chance.integers(len(fit)))]
    first = draft.first + int(chance.integers(4, 10))
    length = int(chance.integers(2, 7))
    grown = float(np.median(draft.expected[draft.expected > 0][-30:]))
    level = max(grown * chance.uniform(0.7, 2.5), 5 * draft.expected[first : first + length].mean(), 12)
    return into.replace("young", Place(draft, first), level * _wobble(into, 0.2, length))


def small_project(into: Injection) -> bool:
    """A rise to 5 to 30 times the normal cost in a series below 2 % of its organization's cost."""
    length = int(into.chance.integers(2, 9))
    middle = slice(into.drafts[0].days // 2, into.drafts[0].days // 2 + 28)
    totals: dict[str, float] = {}
    for draft in into.drafts:
        totals[draft.organization] = totals.get(draft.organization, 0) + draft.expected[middle].mean()

    def is_small(draft: Draft) -> bool:
        share = draft.expected[middle].mean() < _SMALL_SHARE * totals[draft.organization]
        return _is_not_tiny(draft) and ("small_project" in draft.traits or bool(share))

    place = into.free(length, is_small, least=0.7)
    if not place:
        return False
    multiples = np.full(length, log_uniform(into.chance, 5, 30))
    if place.draft.is_regular:
        return into.multiply("small_project", place, multiples)
    return into.replace("small_project", place, place.draft.usual(place.day, 120) * multiples)


KINDS: Mapping[str, tuple[float, Kind]] = {
    "new_model": (4, new_model),
    "young": (3, young),
    "small_project": (5, small_project),
    "weekend": (3, weekend),
    "level_shift": (13, level_shift),
    "ramp": (9, ramp),
    "drop": (6, drop),
    "partial_drop": (4, partial_drop),
    "runaway": (22, runaway),
    "spike": (29, spike),
}
"""The relative frequency of each kind, in order of injection: kinds with the fewest possible places come first."""

FILLING = ("runaway", "spike")
"""The kinds that replace anomalies for which no place was found."""


def _drop(into: Injection, kind: str, share: float) -> bool:
    length = int(into.chance.integers(2, 8))
    place = into.free(length, _is_regular)
    if not place:
        return False
    expected = place.draft.expected[place.day : place.day + length]
    if (expected > place.draft.usual(place.day) * 0.4).sum() < 2 or expected[0] <= 0:
        return False
    return into.multiply(kind, place, np.full(length, share))


def _free_until(draft: Draft, first: int, end: int) -> int | None:
    """Return the end, or an earlier end before the next anomaly; None if less than five weeks are free."""
    taken = draft.taken[first:end]
    if not taken.any():
        return end
    free = int(taken.argmax())
    return first + free - 5 if free >= 35 else None


def _wobble(into: Injection, deviation: float, length: int) -> Floats:
    return np.asarray(np.exp(into.chance.normal(0, deviation, length)))


def _project(draft: Draft) -> tuple[str, str]:
    return draft.organization, draft.project


def _is_not_tiny(draft: Draft) -> bool:
    return draft.archetype != "tiny"


def _is_regular(draft: Draft) -> bool:
    return draft.is_regular


def _is_being_adopted(draft: Draft) -> bool:
    return (
        "late_start" in draft.traits
        and not draft.taken.any()
        and draft.first + 20 < draft.last
        and bool(draft.expected[draft.first : draft.last + 1].max() > 8)
    )
