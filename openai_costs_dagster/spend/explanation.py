"""Explains a finding in words and figures: one or two sentences that a person can act on.

"Up $412.00 (+310 %) on Search, gpt-5.5: output, 9.8x the tokens, unit price unchanged, key_7 alone. It cost $545.00,
above its range (usual: $60.00 to $200.00)."
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.detection.root_causes import Flag
from openai_costs_dagster.spend.money import dollars
from openai_costs_dagster.spend.price_volume_mix import ChangeBreakdown, Segment, decompose_change, main_contributor

_LONGEST_NAME = 100  # characters
_MOST = Decimal("0.6")
_ALONE = Decimal("0.9")
_NOTABLE_MIX = Decimal("0.25")
_UNCHANGED = (Decimal("0.97"), Decimal("1.03"))
_NOTABLE = (Decimal("0.8"), Decimal("1.25"))
_CREDIT_WORD = re.compile(r"discount|refund|adjustment|credit", re.IGNORECASE)
_NOTHING = "(none)"


@dataclass(frozen=True)
class DisplayNames:
    """What ids are called. `users` is empty for texts that are stored: a user's name may have to be forgotten."""

    projects: Mapping[str, str] = field(default_factory=dict)
    api_keys: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)

    def project(self, project_id: str) -> str:
        """A project's name, or its id where the name is unknown."""
        return "no project" if project_id == _NOTHING else self.projects.get(project_id, project_id)

    def api_key(self, api_key_id: str) -> str:
        """A key's name as in ``key "batch"``, or its id where the name is unknown."""
        name = self.api_keys.get(api_key_id)
        return f'key "{name}"' if name else "no API key" if api_key_id == _NOTHING else api_key_id

    def user(self, user_id: str) -> str:
        """A user as in ``Ada (user-abc)``, or the id where the name is unknown."""
        name = self.users.get(user_id)
        return f"{name} ({user_id})" if name else user_id

    def of(self, series: SeriesKey) -> str:
        """A series as people call it."""
        named = [
            series.project and self.project(series.project),
            "no model" if series.model == _NOTHING else series.model,
            "no service" if series.service == _NOTHING else series.service,
            series.api_key and self.api_key(series.api_key),
            series.user and self.user(series.user),
        ]
        return ", ".join(shorten(name) for name in named if name) or "the organization"


@dataclass(frozen=True)
class ParentTotal:
    """The total, a project's or the organization's, that a newcomer moved; US dollars."""

    name: str
    actual: Decimal
    expected: Decimal


@dataclass(frozen=True)
class Figures:
    """A finding in US dollars: what the `days` days up to `day` cost in all, and the range of the test they failed."""

    day: dt.date
    actual: Decimal
    expected: Decimal
    lower: Decimal
    upper: Decimal
    reason: str
    """Which test failed, as the detector calls it; `minor` where a day is unusual and too small to alert."""
    days: int = 1
    score: Decimal = Decimal(0)
    """Standard deviations of the last day."""
    provisional: bool = False
    total: ParentTotal | None = None

    @property
    def impact(self) -> Decimal:
        """What it cost more than expected; negative: less."""
        return self.actual - self.expected


def explain(
    series: SeriesKey, figures: Figures, parts: Sequence[Segment], names: DisplayNames, *, merged: Sequence[Flag] = ()
) -> str:
    """The sentences. `parts` are what makes up the days' spend, beside what usually does.

    `merged` are the other keys of the same owner that changed the same way.
    """
    impact, expected = figures.impact, figures.expected
    share = f" ({impact / expected:+.0%})".replace("%", " %") if expected >= 1 else ""
    direction = "Up" if impact >= 0 else "Down"
    during = f" in {figures.days} days" if figures.days > 1 else ""
    about = _causes(series, impact, parts, names)
    detail = f": {', '.join(about)}" if about else ""
    found = f"{direction} {dollars(abs(impact))}{share}{during} on {names.of(series)}{detail}."
    return f"{found} {_failed_test(figures)}.{_also(merged, names)}"


def _also(merged: Sequence[Flag], names: DisplayNames) -> str:
    if not merged:
        return ""
    shown = (f"{names.of(flag.series)} ({money.signed_dollars(Decimal(flag.difference))})" for flag in merged)
    return f" Other keys of the same owner changed with it: {'; '.join(shown)}."


def shorten(name: str) -> str:
    """A name as a sentence can hold it: some line items and ids have thousands of characters."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}\u2026"


def _failed_test(figures: Figures) -> str:
    """The amount beside the range of the test that it failed."""
    so_far = " so far, the day is not settled" if figures.provisional else ""
    if figures.days > 1:
        what = f"The {figures.days} days up to {figures.day} cost {dollars(figures.actual)} together{so_far}"
    else:
        what = f"It cost {dollars(figures.actual)}{so_far}"
    return what + _test(figures)


def _test(figures: Figures) -> str:
    low, high, reason = dollars(figures.lower), dollars(figures.upper), figures.reason
    usual = f"usual: {low} to {high}" if figures.lower else f"usual: up to {high}"
    more = figures.actual > figures.upper
    limit = f"{'more' if more else 'less'} than {high if more else low}"
    if reason == "minor":
        alerts = f"below {low} or above {high}" if figures.lower else f"above {high}"
        expected = f"{dollars(figures.expected)} were expected"
        return (
            f"; {expected}: unusual by {abs(figures.score)} standard deviations, too small to alert (alerts: {alerts})"
        )
    if reason == "continues":
        return f"; the unusual days before it go on (while they do, {limit} is unusual)"
    if reason == "intermittent":
        return f", more than any {figures.days} days of a series that spends now and then ({usual})"
    if reason == "new":
        return f"; it is too new to have a range of its own ({limit} is unusual for it){_of_total(figures.total)}"
    if figures.days > 1:
        return f", {'above' if more else 'below'} the level before them ({usual})"
    return f", {'above' if more else 'below'} its range ({usual})"


def _of_total(total: ParentTotal | None) -> str:
    if total is None:
        return ""
    return f"; {total.name} cost {dollars(total.actual)} in all, {dollars(total.expected)} were expected"


def _causes(series: SeriesKey, impact: Decimal, parts: Sequence[Segment], names: DisplayNames) -> list[str]:
    """What changed and how, credits apart: they have no tokens and no key.

    Parts are compared with the weeks before and may have changed the other way; then they explain nothing.
    """
    negative = [part for part in parts if part.amount < 0 or part.usual_amount < 0]
    total = money.total(part.change for part in parts)
    credited = money.total(part.change for part in negative)
    others = [part for part in parts if part not in negative]
    if total * impact < 0:
        return []
    said = _of_credits(negative, credited) if total and credited / total >= 1 - _ALONE else []
    if said and credited / total >= _MOST:
        return said
    return [*_what_changed(series, others, names), *_how(others, impact), *said]


def _of_credits(negative: Sequence[Segment], credited: Decimal) -> list[str]:
    """The largest credit, discount or refund that changed."""
    largest = max(negative, key=lambda part: (abs(part.change), part.line_item))
    named = _CREDIT_WORD.search(largest.line_item)
    word = named[0].lower() if named else "credit"
    item = "" if largest.line_item in {"", _NOTHING} else f" ({shorten(largest.line_item)})"
    article = "an" if word == "adjustment" else "a"
    if credited < 0:
        return [f"{article} {word} of {dollars(abs(largest.amount))}{item}"]
    return [f"{dollars(credited)} less of {'an' if word == 'adjustment' else 'a'} {word}{item} than usual"]


def _what_changed(series: SeriesKey, parts: Sequence[Segment], names: DisplayNames) -> list[str]:
    """The dimensions below the series in which most of the change lies."""
    said = []
    if not series.project:
        said += _leading(parts, "project", names)
    if not series.model:
        said += _leading(parts, "model", names)
    said += _leading(parts, "kind", names)
    if not series.api_key:
        said += _leading(parts, "api_key", names)
    return said


def _leading(parts: Sequence[Segment], dimension: str, names: DisplayNames) -> list[str]:
    found = main_contributor(parts, lambda part: str(getattr(part, dimension)))
    if found is None or found[1] < _MOST or found[0] == _NOTHING:
        return []
    name, share = found
    shown = shorten({"project": names.project, "api_key": names.api_key}.get(dimension, str)(name))
    if share >= _ALONE:
        return [f"{shown}{' alone' if dimension == 'api_key' else ''}"]
    return [f"{shown} ({share:.0%})".replace("%", " %")]


def _how(parts: Sequence[Segment], impact: Decimal) -> list[str]:
    """Volume, price and mix, where quantities tell them apart."""
    change = decompose_change(parts)
    if change.volume_ratio is None or change.price_ratio is None:
        return ["new"] if parts and all(not part.usual_amount for part in parts) else []
    unit = f"the {change.unit}" if change.unit else "the units"
    low, high = _NOTABLE
    said = [] if low < change.volume_ratio < high else [f"{change.volume_ratio:.2g}x {unit}"]
    cheap, dear = _UNCHANGED
    if not cheap <= change.price_ratio <= dear:
        said.append(f"unit price {change.price_ratio - 1:+.0%}".replace("%", " %"))
    elif not _has_notable_mix(change, impact):
        return [*said, "unit price unchanged"] if said else []
    if _has_notable_mix(change, impact):
        said.append(f"a {'dearer' if change.mix > 0 else 'cheaper'} mix ({money.signed_dollars(change.mix)})")
    return said


def _has_notable_mix(change: ChangeBreakdown, impact: Decimal) -> bool:
    return change.mix * impact > 0 and abs(change.mix) >= _NOTABLE_MIX * abs(impact)
