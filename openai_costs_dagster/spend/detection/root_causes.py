"""The root causes of a day: one finding for all flagged series that show the same change.

If the spend of a model in one project rises, its project, service, API key and organization are flagged too. The root
cause is the finest series that accounts for most of the change. The series that it explains are not reported again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from openai_costs_dagster.records import NO_VALUE, SeriesKey

_MOST = 0.6  # least share of a change that a finer series must account for to be its cause
_SAME_CHANGE = 0.25  # share by which two changes may differ and still count as the same


class Flag(NamedTuple):
    """A flagged series on a day, with its difference from the expected amount in US dollars."""

    series: SeriesKey
    difference: float
    alerting: bool = True
    """Whether the difference reaches the minimum impact. A flag below it is never the cause of a flag that alerts."""


@dataclass
class Cause:
    """A root cause: a flag that explains other flags of the same day."""

    flag: Flag
    explains: list[Flag] = field(default_factory=list)
    merged: list[Flag] = field(default_factory=list)
    """The smaller causes that are reported together with this cause."""


def find_root_causes(flags: Iterable[Flag]) -> list[Cause]:
    """Return the root causes of one organization's day, the largest first. The order of `flags` does not matter."""
    remaining = sorted(
        flags, key=lambda flag: (not flag.alerting, -abs(flag.difference), _coarseness(flag.series), flag.series)
    )
    causes: list[Cause] = []
    while remaining:
        comparable = [flag for flag in remaining if flag.alerting == remaining[0].alerting]
        cause = Cause(_finest_cause(remaining[0], comparable))
        remaining = [flag for flag in remaining if flag != cause.flag]
        causes.append(cause)
        unexplained: list[Flag] = []
        for flag in remaining:
            (cause.explains if _is_explained(flag, causes) else unexplained).append(flag)
        remaining = unexplained
    return sorted(causes, key=lambda cause: (-abs(cause.flag.difference), cause.flag.series))


def merge_by_owner(causes: Iterable[Cause], owners: Mapping[str, str]) -> list[Cause]:
    """Merge the API keys of one owner that changed in the same direction, so that one person is one cause.

    `owners` maps the id of an API key to the id of its owner.
    """
    largest: dict[tuple[str, bool], Cause] = {}
    separate = []
    for cause in causes:
        flag = cause.flag
        owner = owners.get(flag.series.api_key, flag.series.api_key)
        first = largest.setdefault((owner, flag.difference > 0), cause)
        if owner in {"", NO_VALUE} or not flag.alerting or first is cause:
            separate.append(cause)
        else:
            first.merged.append(flag)
            first.explains += [flag, *cause.explains]
    return separate


def contains(whole: SeriesKey, part: SeriesKey) -> bool:
    """Return whether all spend of `part` is also spend of `whole`."""
    return whole.organization == part.organization and all(
        not value or value == other for value, other in zip(whole[1:], part[1:], strict=True)
    )


def overlap(series: SeriesKey, other: SeriesKey) -> bool:
    """Return whether two series can share spend, that is, whether no dimension has two different values."""
    return series.organization == other.organization and all(
        not value or not other_value or value == other_value
        for value, other_value in zip(series[1:], other[1:], strict=True)
    )


def _coarseness(series: SeriesKey) -> int:
    return -sum(map(bool, series))


def _finest_cause(flag: Flag, flags: list[Flag]) -> Flag:
    """Return the finest flag that accounts for most of the given flag, or the given flag if no other flag does."""
    inside = [
        other
        for other in flags
        if other != flag
        and contains(flag.series, other.series)
        and other.difference * flag.difference > 0
        and abs(other.difference) >= _MOST * abs(flag.difference)
    ]
    if not inside:
        return _replace_key(flag, flags)
    best = max(inside, key=lambda other: (not other.series.api_key, abs(other.difference), other.series))
    return _finest_cause(best, flags)


def _replace_key(flag: Flag, flags: list[Flag]) -> Flag:
    """Return the flag of a model in a project with the same change as an API key, or the given flag of the key.

    The model describes the cause better than the key does. On days that are stored without API keys, the costs
    without a key are those of the whole project, so the project replaces them.
    """
    if not flag.series.api_key:
        return flag
    similar = [
        other
        for other in flags
        if overlap(other.series, flag.series)
        and other.difference * flag.difference > 0
        and (1 - _SAME_CHANGE) * abs(flag.difference)
        <= abs(other.difference)
        <= (1 + _SAME_CHANGE) * abs(flag.difference)
    ]
    best = max(
        (other for other in similar if other.series.is_leaf),
        key=lambda other: (abs(other.difference), other.series),
        default=None,
    )
    if best is None and flag.series.api_key == NO_VALUE:
        project = flag.series._replace(api_key="")
        best = next((other for other in similar if other.series == project), None)
    return best or flag


def _is_explained(flag: Flag, causes: list[Cause]) -> bool:
    """Return whether a flag is explained by one of the causes, or for the most part by all causes together."""
    accounted = 0.0
    for cause in causes:
        difference = cause.flag.difference
        if difference * flag.difference <= 0:
            continue
        if contains(cause.flag.series, flag.series):
            return True
        if contains(flag.series, cause.flag.series):
            accounted += abs(difference)
        elif overlap(flag.series, cause.flag.series) and abs(flag.difference) <= (1 + _SAME_CHANGE) * abs(difference):
            return True
    return accounted >= _MOST * abs(flag.difference)
