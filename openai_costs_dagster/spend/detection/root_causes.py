"""One finding per cause: which of a day's flagged series say the same thing, and which of them says it best.

When a project's model explodes, the project, the service, the key and the organization above it are flagged too. The
cause is the finest series that accounts for most of the change; what it explains is not reported again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from openai_costs_dagster.records import SeriesKey

_MOST = 0.6
_THE_SAME = 0.25
_WITHOUT_KEY = "(none)"


class Flag(NamedTuple):
    """A series on a day that is out of its range, by so many US dollars (negative: less)."""

    series: SeriesKey
    difference: float
    alerting: bool = True
    """Whether it is worth an alert by itself; what is only unusual is never the cause of what is worth one."""


@dataclass
class Cause:
    """A flag that explains others."""

    flag: Flag
    explains: list[Flag] = field(default_factory=list)
    merged: list[Flag] = field(default_factory=list)
    """Smaller causes that are reported with it."""


def find_root_causes(flags: Iterable[Flag]) -> list[Cause]:
    """The causes of one organization's day, the largest first. The order of `flags` does not matter."""
    waiting = sorted(
        flags, key=lambda flag: (not flag.alerting, -abs(flag.difference), _coarseness(flag.series), flag.series)
    )
    causes: list[Cause] = []
    while waiting:
        alike = [flag for flag in waiting if flag.alerting == waiting[0].alerting]
        cause = Cause(_within(waiting[0], alike))
        waiting = [flag for flag in waiting if flag != cause.flag]
        causes.append(cause)
        left: list[Flag] = []
        for flag in waiting:
            (cause.explains if _explained(flag, causes) else left).append(flag)
        waiting = left
    return sorted(causes, key=lambda cause: (-abs(cause.flag.difference), cause.flag.series))


def merge_by_owner(causes: Iterable[Cause], owners: Mapping[str, str]) -> list[Cause]:
    """Merges keys of one owner that changed the same way: a person who pauses is one cause, not one for each key."""
    largest: dict[tuple[str, bool], Cause] = {}
    kept = []
    for cause in causes:
        flag = cause.flag
        owner = owners.get(flag.series.api_key, flag.series.api_key)
        first = largest.setdefault((owner, flag.difference > 0), cause)
        if owner in {"", _WITHOUT_KEY} or not flag.alerting or first is cause:
            kept.append(cause)
        else:
            first.merged.append(flag)
            first.explains += [flag, *cause.explains]
    return kept


def contains(whole: SeriesKey, part: SeriesKey) -> bool:
    """Whether all spend of `part` is spend of `whole` too."""
    return whole.organization == part.organization and all(
        not mine or mine == theirs for mine, theirs in zip(whole[1:], part[1:], strict=True)
    )


def _coarseness(series: SeriesKey) -> int:
    return -sum(map(bool, series))


def _within(flag: Flag, flags: list[Flag]) -> Flag:
    """The finest flag that accounts for most of this one, or itself."""
    inside = [
        other
        for other in flags
        if other != flag
        and contains(flag.series, other.series)
        and other.difference * flag.difference > 0
        and abs(other.difference) >= _MOST * abs(flag.difference)
    ]
    if not inside:
        return _without_key(flag, flags)
    best = max(inside, key=lambda other: (not other.series.api_key, abs(other.difference), other.series))
    return _within(best, flags)


def _without_key(flag: Flag, flags: list[Flag]) -> Flag:
    """What a key spent says less than what it was spent on, where both say the same.

    Spend without a key is that of its whole project on days that are stored without keys.
    """
    if not flag.series.api_key:
        return flag
    close = [
        other
        for other in flags
        if overlap(other.series, flag.series)
        and other.difference * flag.difference > 0
        and (1 - _THE_SAME) * abs(flag.difference) <= abs(other.difference) <= (1 + _THE_SAME) * abs(flag.difference)
    ]
    best = max(
        (other for other in close if other.series.is_leaf),
        key=lambda other: (abs(other.difference), other.series),
        default=None,
    )
    if best is None and flag.series.api_key == _WITHOUT_KEY:
        project = flag.series._replace(api_key="")
        best = next((other for other in close if other.series == project), None)
    return best or flag


def _explained(flag: Flag, causes: list[Cause]) -> bool:
    accounted = 0.0
    for cause in causes:
        difference = cause.flag.difference
        if difference * flag.difference <= 0:
            continue
        if contains(cause.flag.series, flag.series):
            return True
        if contains(flag.series, cause.flag.series):
            accounted += abs(difference)
        elif overlap(flag.series, cause.flag.series) and abs(flag.difference) <= (1 + _THE_SAME) * abs(difference):
            return True
    return accounted >= _MOST * abs(flag.difference)


def overlap(one: SeriesKey, other: SeriesKey) -> bool:
    """Whether two series can share spend: no dimension that both name differs."""
    return one.organization == other.organization and all(
        not mine or not theirs or mine == theirs for mine, theirs in zip(one[1:], other[1:], strict=True)
    )
