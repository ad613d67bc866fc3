"""Finds the root causes of a day: one finding for all flagged series that show the same change.

If the spend of a model in one project rises, then the project, the service, the API key and the organization are
flagged too. The root cause is the finest series that accounts for most of the change. The other series are not reported
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from openai_costs_dagster.records import NO_VALUE, SeriesKey

_MOST = 0.6  # The smallest share of a change for which a finer series must account to be its cause.
_SAME_CHANGE = 0.25  # The largest relative difference between two changes that count as the same change.


class Flag(NamedTuple):
    """A flagged series on a day, with the difference from its expected amount in US dollars."""

    series: SeriesKey
    difference: float
    alerting: bool = True
    """Whether the difference reaches the minimum impact.

    A flag below the minimum impact is never the cause of a flag that alerts.
    """


@dataclass
class Cause:
    """A root cause: a flag, and the flags of the same day that it explains."""

    flag: Flag
    explains: list[Flag] = field(default_factory=list)
    merged: list[Flag] = field(default_factory=list)
    """Smaller causes that are reported together with this cause, because they belong to the same person."""


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
    """Merge the causes that are API keys of one owner and changed in the same direction.

    Without the merge, a change of one person with several API keys would lead to several findings. `owners` maps the id
    of an API key to the id of its owner.
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
    """Return whether all spend of the series `part` is also spend of the series `whole`."""
    return whole.organization == part.organization and all(
        not value or value == other for value, other in zip(whole[1:], part[1:], strict=True)
    )


def overlap(series: SeriesKey, other: SeriesKey) -> bool:
    """Return whether two series can have spend in common, because no dimension has two different values."""
    return series.organization == other.organization and all(
        not value or not other_value or value == other_value
        for value, other_value in zip(series[1:], other[1:], strict=True)
    )


def _coarseness(series: SeriesKey) -> int:
    return -sum(map(bool, series))


def _finest_cause(flag: Flag, flags: list[Flag]) -> Flag:
    """Return the finest flag that accounts for most of the change of `flag`, or else `flag` itself."""
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
    """Return the flag of a model in a project with the same change as the API key of `flag`, or `flag` itself.

    A model describes a cause better than an API key. On days that are stored without API keys, the costs without an API
    key are the costs of the whole project, so the project replaces them.
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
    """Return whether one of the causes explains a flag, or all causes together explain most of it."""
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
