"""Which counter of usage a line item bills: what caused it.

Sources: the grammar of line items and the counters of the usage endpoints (docs/openai-api.md). `input_tokens` holds
cached tokens and cache writes, which are billed as line items of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NamedTuple

from openai_costs_dagster.spend.line_items import LineItem
from openai_costs_dagster.usage_records import UsageRow

_ZERO = Decimal(0)
_FINE_TUNED = re.compile(r"ft:([^:]+)")
_USUAL_TIERS = {None, "", "default", "auto", "standard"}
_TIERS = {"priority", "flex", "scale"}
_BILLED_AS: dict[str | None, str] = {"whisper-1": "whisper"}
_SECONDS = {"duration_seconds": 1, "duration_minutes": 60, "duration_hours": 3600}
_TOKENS = {"tokens": 1, "1000_tokens": 1000}
_TOOLS = {
    "Web search": ("web_search_calls", "num_requests"),
    "File search": ("file_search_calls", "num_requests"),
    "Code interpreter": ("code_interpreter_sessions", "num_sessions"),
    "Vector stores": ("vector_stores", "usage_bytes"),
}
_BY_SERVICE = {
    "Embeddings": ("embeddings", "input_tokens"),
    "Moderations": ("moderations", "input_tokens"),
    "Images": ("images", "images"),
    "Audio transcriptions": ("audio_transcriptions", "seconds"),
    "Audio speeches": ("audio_speeches", "characters"),
}
_UNITS: dict[str, Mapping[str, int]] = {"images": {"images": 1}, "characters": {"characters": 1}, "seconds": _SECONDS}


class Meter(NamedTuple):
    """What a line item bills: a counter of one or more operations, of one model and tier.

    `model` is null for tools; `tier` is null for the usual one.
    """

    operations: tuple[str, ...]
    counter: str
    model: str | None = None
    batch: bool = False
    tier: str | None = None

    def units_of(self, quantity_unit: str | None) -> int | None:
        """How much of the counter one billed unit is; None where the two cannot be compared."""
        units = _UNITS.get(self.counter, _TOKENS if "input" in self.counter or "output" in self.counter else {})
        return units.get(quantity_unit or "")

    def is_of_tier(self, row: UsageRow) -> bool:
        """Whether usage was billed at this meter's tier, as far as the row tells."""
        if bool(row.groups.get("batch")) != self.batch:
            return False
        tier = row.groups.get("service_tier")
        return self.batch or (tier in _USUAL_TIERS if self.tier is None else tier == self.tier)


def meter_of(item: LineItem) -> Meter | None:
    """The meter of a line item, or None where no usage tells who caused it."""
    if item.model is None:
        tool = _TOOLS.get(item.service)
        return Meter((tool[0],), tool[1]) if tool else None
    operations: tuple[str, ...] = ("completions", "decisions")
    counter = _counter(item.subcategory, item.modality)
    if item.service in _BY_SERVICE:
        operation, counter = _BY_SERVICE[item.service]
        operations = (operation,)
    if counter is None:
        return None
    surface = (item.surface or "").lower()
    tier = surface if surface in _TIERS else None
    return Meter(operations, counter, item.model, batch=surface == "batch", tier=tier)


def _counter(kind: str | None, modality: str | None) -> str | None:
    suffix = f"_{modality}" if modality in {"text", "audio", "image"} else ""
    if kind in {"input", "cached input", "output"}:
        return f"{kind.replace(' ', '_')}{suffix}"
    if kind is not None and kind.startswith("cache writes"):
        return "cache_write_input_12h" if "12h" in kind else "cache_write_input"
    return None


def billed_model(model: str | None) -> str | None:
    """The name by which the bill knows a model of the usage endpoints: ``ft:gpt-4o:acme::id`` is ``ft-gpt-4o``."""
    found = _FINE_TUNED.match(model or "")
    return f"ft-{found[1]}" if found else _BILLED_AS.get(model, model)


def counted(row: UsageRow, counter: str) -> Decimal:
    """How much of a meter's counter a row of usage counts; never negative."""
    reader = _COUNTERS.get(counter)
    found = reader(row.counters) if reader else row.counters.get(counter, _ZERO)
    return max(found, _ZERO)


def _uncached(counters: Mapping[str, Decimal]) -> Decimal:
    if "input_uncached_tokens" in counters:
        return counters["input_uncached_tokens"]
    return counters.get("input_tokens", _ZERO) - counters.get("input_cached_tokens", _ZERO) - _writes(counters)


def _writes(counters: Mapping[str, Decimal]) -> Decimal:
    if "input_cache_write_tokens" in counters:
        return counters["input_cache_write_tokens"]
    return counters.get("input_cache_write_30m_tokens", _ZERO) + counters.get("input_cache_write_12h_tokens", _ZERO)


def _of_modality(modality: str, counters: Mapping[str, Decimal]) -> Decimal:
    """Uncached input of one modality; text is what is left where it has no counter of its own."""
    whole, cached = f"input_{modality}_tokens", f"input_cached_{modality}_tokens"
    if whole in counters:
        return counters[whole] - counters.get(cached, _ZERO)
    if modality != "text":
        return _ZERO
    return _uncached(counters) - _of_modality("audio", counters) - _of_modality("image", counters)


def _cached_text(counters: Mapping[str, Decimal]) -> Decimal:
    if "input_cached_text_tokens" in counters:
        return counters["input_cached_text_tokens"]
    others = ("input_cached_audio_tokens", "input_cached_image_tokens")
    return counters.get("input_cached_tokens", _ZERO) - sum((counters.get(one, _ZERO) for one in others), _ZERO)


def _output_text(counters: Mapping[str, Decimal]) -> Decimal:
    if "output_text_tokens" in counters:
        return counters["output_text_tokens"]
    others = ("output_audio_tokens", "output_image_tokens")
    return counters.get("output_tokens", _ZERO) - sum((counters.get(one, _ZERO) for one in others), _ZERO)


_COUNTERS: dict[str, Callable[[Mapping[str, Decimal]], Decimal]] = {
    "input": _uncached,
    "input_text": lambda counters: _of_modality("text", counters),
    "input_audio": lambda counters: _of_modality("audio", counters),
    "input_image": lambda counters: _of_modality("image", counters),
    "cached_input": lambda counters: counters.get("input_cached_tokens", _ZERO),
    "cached_input_text": _cached_text,
    "cached_input_audio": lambda counters: counters.get("input_cached_audio_tokens", _ZERO),
    "cached_input_image": lambda counters: counters.get("input_cached_image_tokens", _ZERO),
    "cache_write_input": lambda counters: _writes(counters) - counters.get("input_cache_write_12h_tokens", _ZERO),
    "cache_write_input_12h": lambda counters: counters.get("input_cache_write_12h_tokens", _ZERO),
    "output": lambda counters: counters.get("output_tokens", _ZERO),
    "output_text": _output_text,
    "output_audio": lambda counters: counters.get("output_audio_tokens", _ZERO),
    "output_image": lambda counters: counters.get("output_image_tokens", _ZERO),
}
