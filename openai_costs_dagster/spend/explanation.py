"""Writes the text of a finding: the impact, its cause, and how far the spend was outside its usual range.

Example: "Up $412.00 (+310 %) on Search: gpt-5.5, output, key_7 alone, 9.8x the tokens, unit price unchanged. Spend was
$545.00, above its range (usual: $60.00 to $200.00)."
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from openai_costs_dagster.display_text import printable
from openai_costs_dagster.records import NO_VALUE, SeriesKey
from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.detection.root_causes import Flag
from openai_costs_dagster.spend.money import dollars
from openai_costs_dagster.spend.price_volume_mix import ChangeBreakdown, Segment, decompose_change, main_contributor

# Names in a sentence are cut to this length. Some line items and ids have thousands of characters.
_MAX_NAME_LENGTH = 100
# The smallest share of a change for which a project, model, kind or API key must account to be named as the cause.
_MAIN_SHARE = Decimal("0.6")
# The share of a change from which the text omits the percentage of the cause, which accounts for almost everything.
_SOLE_SHARE = Decimal("0.9")
# The smallest share of the impact from which the text mentions the mix of cheaper and dearer usage.
_NOTABLE_MIX = Decimal("0.25")
# The ratios to the usual value between which a price or a volume is described as unchanged. Computed unit prices vary a
# little even if no price has changed.
_UNCHANGED_PRICE = (Decimal("0.97"), Decimal("1.03"))
_UNCHANGED_VOLUME = (Decimal("0.8"), Decimal("1.25"))
_CREDIT_WORD = re.compile(r"discount|refund|adjustment|credit", re.IGNORECASE)


@dataclass(frozen=True)
class DisplayNames:
    """The display names of projects, API keys and users, by id.

    `users` must be empty for a text that is stored, because `forget-user` has to be able to delete a user's name.
    """

    projects: Mapping[str, str] = field(default_factory=dict)
    api_keys: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)

    def project(self, project_id: str) -> str:
        """Return the name of a project, or its id if the name is unknown."""
        return "no project" if project_id == NO_VALUE else self.projects.get(project_id, project_id)

    def api_key(self, api_key_id: str) -> str:
        """Return the name of an API key, as in ``key "batch"``, or its id if the name is unknown."""
        name = self.api_keys.get(api_key_id)
        return f'key "{name}"' if name else "no API key" if api_key_id == NO_VALUE else api_key_id

    def user(self, user_id: str) -> str:
        """Return the name and the id of a user, as in ``Ada (user-abc)``, or only the id if the name is unknown."""
        name = self.users.get(user_id)
        return f"{name} ({user_id})" if name else user_id

    def series(self, series: SeriesKey) -> str:
        """Return the names of a series' dimensions, or ``the organization`` for the total."""
        names = [
            series.project and self.project(series.project),
            "no model" if series.model == NO_VALUE else series.model,
            "no service" if series.service == NO_VALUE else series.service,
            series.api_key and self.api_key(series.api_key),
            series.user and self.user(series.user),
        ]
        return ", ".join(shorten(name) for name in names if name) or "the organization"


@dataclass(frozen=True)
class ParentTotal:
    """The total of a project or an organization that rose together with a new series, in US dollars."""

    name: str
    actual: Decimal
    expected: Decimal


@dataclass(frozen=True)
class Figures:
    """The figures of a finding, in US dollars.

    `actual` is the sum of the `days` days up to `day`. `expected`, `lower` and `upper` belong to the statistical test
    that the spend failed.
    """

    day: dt.date
    actual: Decimal
    expected: Decimal
    lower: Decimal
    upper: Decimal
    reason: str
    """The detector's reason for the finding, or ``minor`` for an unusual day whose impact is too small for an alert."""
    days: int = 1
    score: Decimal = Decimal(0)
    """The distance of the last day from its expected amount, in standard deviations."""
    provisional: bool = False
    total: ParentTotal | None = None

    @property
    def impact(self) -> Decimal:
        """The actual spend minus the expected spend."""
        return self.actual - self.expected


def explain(
    series: SeriesKey,
    figures: Figures,
    segments: Sequence[Segment],
    names: DisplayNames,
    *,
    merged: Sequence[Flag] = (),
) -> str:
    """Return the text that explains a finding.

    `segments` is the spend of the series by project, model, API key and line item, with its usual amounts. `merged`
    contains the other API keys of the same owner that changed in the same direction.
    """
    impact, expected = figures.impact, figures.expected
    share = f" ({impact / expected:+.0%})".replace("%", " %") if expected >= 1 else ""
    direction = "Up" if impact >= 0 else "Down"
    period = f" in {figures.days} days" if figures.days > 1 else ""
    causes = _causes(series, impact, segments, names)
    detail = f": {', '.join(causes)}" if causes else ""
    summary = f"{direction} {dollars(abs(impact))}{share}{period} on {names.series(series)}{detail}."
    return f"{summary} {_failed_test(figures)}.{_merged_keys(merged, names)}"


def _merged_keys(merged: Sequence[Flag], names: DisplayNames) -> str:
    if not merged:
        return ""
    keys = (f"{names.series(flag.series)} ({money.signed_dollars(Decimal(flag.difference))})" for flag in merged)
    return f" Other API keys of the same owner changed with it: {'; '.join(keys)}."


def shorten(name: str) -> str:
    """Return a name for a sentence, in printable characters and cut to 100 characters.

    Some line items and ids have thousands of characters.
    """
    name = printable(name)
    return name if len(name) <= _MAX_NAME_LENGTH else f"{name[: _MAX_NAME_LENGTH - 1]}\u2026"


def _failed_test(figures: Figures) -> str:
    """Return the sentence with the spend and the range of the test that the spend failed."""
    so_far = " so far, the day is not settled" if figures.provisional else ""
    if figures.days > 1:
        spend = f"The {figures.days} days up to {figures.day} cost {dollars(figures.actual)} together{so_far}"
    else:
        spend = f"Spend was {dollars(figures.actual)}{so_far}"
    return spend + _range(figures)


def _range(figures: Figures) -> str:
    low, high, reason = dollars(figures.lower), dollars(figures.upper), figures.reason
    usual = f"usual: {low} to {high}" if figures.lower else f"usual: up to {high}"
    is_above = figures.actual > figures.upper
    limit = f"{'more' if is_above else 'less'} than {high if is_above else low}"
    if reason == "minor":
        alerts = f"below {low} or above {high}" if figures.lower else f"above {high}"
        return (
            f", expected {dollars(figures.expected)}: unusual by {abs(figures.score)} standard deviations, "
            f"too small to alert (alerts: {alerts})"
        )
    if reason == "continues":
        return f"; the unusual days before it continue (until they end, {limit} is unusual)"
    if reason == "intermittent":
        return f", more than any {figures.days} days of this intermittent series before ({usual})"
    if reason == "new":
        return f"; the series is too new for a range of its own ({limit} is unusual for it){_parent(figures.total)}"
    if figures.days > 1:
        return f", {'above' if is_above else 'below'} the level before them ({usual})"
    return f", {'above' if is_above else 'below'} its range ({usual})"


def _parent(total: ParentTotal | None) -> str:
    if total is None:
        return ""
    return f"; {total.name} cost {dollars(total.actual)} in total, expected {dollars(total.expected)}"


def _causes(series: SeriesKey, impact: Decimal, segments: Sequence[Segment], names: DisplayNames) -> list[str]:
    """Return the phrases that name the causes of a change, such as a model or a credit.

    Credits are named separately from usage, because they have neither tokens nor an API key. The segments are compared
    with the weeks before, but the impact is the difference from the detector's expected amount. If the change of the
    segments and the impact have opposite signs, the segments do not explain the impact, and the list is empty.
    """
    negative = [segment for segment in segments if segment.amount < 0 or segment.usual_amount < 0]
    total = money.total(segment.change for segment in segments)
    credited = money.total(segment.change for segment in negative)
    others = [segment for segment in segments if segment not in negative]
    if total * impact < 0:
        return []
    credit = _credit(negative, credited) if total and credited / total >= 1 - _SOLE_SHARE else []
    if credit and credited / total >= _MAIN_SHARE:
        return credit
    return [*_main_dimensions(series, others, names), *_price_and_volume(others, impact), *credit]


def _credit(negative: Sequence[Segment], credited: Decimal) -> list[str]:
    """Return the phrase about the credit, discount or refund that changed most."""
    largest = max(negative, key=lambda segment: (abs(segment.change), segment.line_item))
    match = _CREDIT_WORD.search(largest.line_item)
    word = match[0].lower() if match else "credit"
    item = "" if largest.line_item in {"", NO_VALUE} else f" ({shorten(largest.line_item)})"
    article = "an" if word == "adjustment" else "a"
    if credited < 0:
        return [f"{article} {word} of {dollars(abs(largest.amount))}{item}"]
    return [f"{dollars(credited)} less of {article} {word}{item} than usual"]


def _main_dimensions(series: SeriesKey, segments: Sequence[Segment], names: DisplayNames) -> list[str]:
    """Return the project, model, kind of usage and API key that account for most of the change of a series."""
    phrases = []
    if not series.project:
        phrases += _main_value(segments, "project", names)
    if not series.model:
        phrases += _main_value(segments, "model", names)
    phrases += _main_value(segments, "kind", names)
    if not series.api_key:
        phrases += _main_value(segments, "api_key", names)
    return phrases


def _main_value(segments: Sequence[Segment], dimension: str, names: DisplayNames) -> list[str]:
    found = main_contributor(segments, lambda segment: str(getattr(segment, dimension)))
    if found is None or found[1] < _MAIN_SHARE or found[0] == NO_VALUE:
        return []
    value, share = found
    name = shorten({"project": names.project, "api_key": names.api_key}.get(dimension, str)(value))
    if share >= _SOLE_SHARE:
        return [f"{name}{' alone' if dimension == 'api_key' else ''}"]
    return [f"{name} ({share:.0%})".replace("%", " %")]


def _price_and_volume(segments: Sequence[Segment], impact: Decimal) -> list[str]:
    """Return the phrases about volume, price and mix, or ``new`` if the spend was never billed before."""
    change = decompose_change(segments)
    if change.volume_ratio is None or change.price_ratio is None:
        return ["new"] if segments and all(not segment.usual_amount for segment in segments) else []
    unit = f"the {change.unit}" if change.unit else "the units"
    fewer, more = _UNCHANGED_VOLUME
    phrases = [] if fewer < change.volume_ratio < more else [f"{change.volume_ratio:.2g}x {unit}"]
    cheaper, dearer = _UNCHANGED_PRICE
    if not cheaper <= change.price_ratio <= dearer:
        phrases.append(f"unit price {change.price_ratio - 1:+.0%}".replace("%", " %"))
    elif not _has_notable_mix(change, impact):
        return [*phrases, "unit price unchanged"] if phrases else []
    if _has_notable_mix(change, impact):
        phrases.append(f"a {'dearer' if change.mix > 0 else 'cheaper'} mix ({money.signed_dollars(change.mix)})")
    return phrases


def _has_notable_mix(change: ChangeBreakdown, impact: Decimal) -> bool:
    return change.mix * impact > 0 and abs(change.mix) >= _NOTABLE_MIX * abs(impact)
