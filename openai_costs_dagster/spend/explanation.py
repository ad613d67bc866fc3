"""What a finding says, in words and figures: one sentence that a person can act on.

"Up $412 (+310 %) on proj_search, gpt-5.5: output, 9.8x the tokens, unit price unchanged, key_7 alone."
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from openai_costs_dagster.spend.change import Part, change_of, leading_share
from openai_costs_dagster.spend.detection.panel import Series
from openai_costs_dagster.spend.detection.reasons import words

_LONGEST_NAME = 100  # characters
_MOST = Decimal("0.6")
_ALONE = Decimal("0.9")
_UNCHANGED = (Decimal("0.97"), Decimal("1.03"))
_NOTABLE = (Decimal("0.8"), Decimal("1.25"))


def explain(
    series: Series,
    *,
    actual: Decimal,
    expected: Decimal,
    lower: Decimal,
    upper: Decimal,
    reason: str,
    parts: Sequence[Part],
    project_names: Mapping[str, str],
    provisional: bool,
) -> str:
    """The sentence; US dollars. `parts` are what makes the series' day up, beside what usually does."""
    impact = actual - expected
    share = f" ({impact / expected:+.0%})".replace("%", " %") if expected >= 1 else ""
    direction = "Up" if impact >= 0 else "Down"
    about = [*_what_changed(series, parts, project_names), *_how(parts)]
    detail = f": {', '.join(about)}" if about else ""
    so_far = " so far, the day is not settled" if provisional else ""
    return (
        f"{direction} ${abs(impact):,.2f}{share} on {_name(series, project_names)}{detail}. It cost ${actual:,.2f}"
        f"{so_far} (usual: {_range(lower, upper)}); {words(reason)}."
    )


def _range(lower: Decimal, upper: Decimal) -> str:
    return f"${lower:,.2f} to ${upper:,.2f}" if lower else f"up to ${upper:,.2f}"


def _name(series: Series, project_names: Mapping[str, str]) -> str:
    project = project_names.get(series.project, series.project)
    named = [name for name in (project, series.model, series.service, series.api_key, series.user) if name]
    return ", ".join(map(shortened, named)) or "the organization"


def shortened(name: str) -> str:
    """A name as a sentence can hold it: some line items and ids have thousands of characters."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}\u2026"


def _what_changed(series: Series, parts: Sequence[Part], project_names: Mapping[str, str]) -> list[str]:
    """The dimensions below the series in which most of the change lies."""
    said = []
    if not series.project:
        said += _leading(parts, "project", project_names)
    if not series.model:
        said += _leading(parts, "model")
    said += _leading(parts, "kind")
    if not series.api_key:
        said += _leading(parts, "api_key", alone=" alone")
    return said


def _leading(
    parts: Sequence[Part], dimension: str, names: Mapping[str, str] | None = None, *, alone: str = ""
) -> list[str]:
    found = leading_share(parts, lambda part: str(getattr(part, dimension)))
    if found is None or found[1] < _MOST or found[0] == "(none)":
        return []
    name, share = found
    shown = shortened((names or {}).get(name, name))
    if share >= _ALONE:
        return [f"{shown}{alone}"]
    return [f"{shown} ({share:.0%})".replace("%", " %")]


def _how(parts: Sequence[Part]) -> list[str]:
    """Volume and price, where quantities tell them apart."""
    change = change_of(parts)
    if change.volume_ratio is None or change.price_ratio is None:
        return ["new"] if parts and all(not part.usual_amount for part in parts) else []
    unit = f"the {change.unit}" if change.unit else "the units"
    low, high = _NOTABLE
    said = [] if low < change.volume_ratio < high else [f"{change.volume_ratio:.2g}x {unit}"]
    cheap, dear = _UNCHANGED
    if cheap <= change.price_ratio <= dear:
        return [*said, "unit price unchanged"] if said else []
    return [*said, f"unit price {change.price_ratio - 1:+.0%}".replace("%", " %")]
