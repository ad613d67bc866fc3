"""Which usage counter a line item bills, and how much of it a row of usage counted.

Allocation follows the billed unit: a line item billed in tokens follows tokens, whatever the model makes of them, and
one billed in images, seconds or characters follows those. Sources: the grammar of line items and the counters of the
usage endpoints (docs/openai-api.md, usage_records.OPERATIONS).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from openai_costs_dagster.records import LineItem
from openai_costs_dagster.usage_records import OPERATIONS, TOKEN_TOTALS, Counter, UsageRow

_ZERO = Decimal(0)

TOKEN_OPERATIONS = tuple(one.name for one in OPERATIONS if "input_tokens" in one.counters)
"""The endpoints that count tokens."""

_STANDARD_TIERS = {"", "default", "auto", "standard"}
_SAME_TIER = {"fast": "priority"}  # OpenAI renamed Priority to Fast in July 2026; both words are in use
_PRODUCTS = {
    "agents api",
    "assistants api",
    "audio api",
    "batch api",
    "chat completions api",
    "completions api",
    "distillation",
    "embeddings api",
    "evals",
    "fine-tuning",
    "fine-tuning api",
    "images api",
    "moderations api",
    "playground",
    "realtime api",
    "responses api",
    "stored completions",
}
"""Surfaces that name a product, billed at the standard tier. Any other surface names a service tier."""
_BATCH = {"batch", "batch api"}

_TOKENS = {"tokens": 1, "1000_tokens": 1000}
_SECONDS = {"duration_seconds": 1, "duration_minutes": 60, "duration_hours": 3600}
_OTHER_UNITS: dict[str, tuple[str, str]] = {
    "images": ("images", "images"),
    "characters": ("audio_speeches", "characters"),
    **dict.fromkeys(_SECONDS, ("audio_transcriptions", "seconds")),
}
_FACTORS: dict[str, Mapping[str, int]] = {"images": {"images": 1}, "characters": {"characters": 1}, "seconds": _SECONDS}
_TOOLS = {
    "Web search": ("web_search_calls", "num_requests"),
    "File search": ("file_search_calls", "num_requests"),
    "Code interpreter": ("code_interpreter_sessions", "num_sessions"),
    "Vector stores": ("vector_stores", "usage_bytes"),
}
_TOKENS_OF_SERVICE = {"Embeddings": ("embeddings",), "Moderations": ("moderations",)}
_WITHOUT_UNIT = {
    "Images": ("images", "images"),
    "Audio transcriptions": ("audio_transcriptions", "seconds"),
    "Audio speeches": ("audio_speeches", "characters"),
}
"""What these services count where the bill names no unit."""

_MODALITIES = ("text", "audio", "image")
_TOKEN_COUNTERS: dict[tuple[str, str | None], str] = {
    ("input", None): "input_uncached_tokens",
    ("cached input", None): "input_cached_tokens",
    ("output", None): "output_tokens",
    **{("input", one): f"input_{one}_tokens" for one in _MODALITIES},
    **{("cached input", one): f"input_cached_{one}_tokens" for one in _MODALITIES},
    **{("output", one): f"output_{one}_tokens" for one in _MODALITIES},
}
_BOTH = ("input_tokens", "output_tokens")
_ALL_TOKENS = Counter("all_tokens", "Input and output: what a label without a kind bills.", _BOTH)
_TOTALS = {total.name: total for total in (*TOKEN_TOTALS, _ALL_TOKENS)}
_TOTAL_OF = {part: total for total in TOKEN_TOTALS for part in total.parts}


class BilledCounter(NamedTuple):
    """What a line item bills: a counter of one or more operations, of one model and tier.

    `model` is null for tools; `tier` is null for the standard one.
    """

    operations: tuple[str, ...]
    counter: str
    model: str | None = None
    batch: bool = False
    tier: str | None = None

    @property
    def is_standard(self) -> bool:
        """Whether it bills the standard tier."""
        return not self.batch and self.tier is None

    def counter_units_per(self, quantity_unit: str | None) -> int | None:
        """How much of the counter one billed unit is; None where the two cannot be compared."""
        factors = _FACTORS.get(self.counter, _TOKENS if self.counter.endswith("_tokens") else {})
        return factors.get(quantity_unit or "")

    def matches_tier(self, row: UsageRow) -> bool:
        """Whether the row was used at this meter's tier.

        Batch work has no other tier. A row of an endpoint that does not tell tiers apart is of any.
        """
        batch = row.groups.get("batch")
        if batch is None and self.batch:
            return True
        if batch or self.batch:
            return bool(batch) and self.batch
        return "service_tier" not in row.groups or tier_of(row) == self.tier


def billed_counters(item: LineItem, quantity_unit: str | None = None) -> tuple[BilledCounter, ...]:
    """The meters that may measure a line item billed in a unit, the best first; none if no usage endpoint counts it.

    There are two only where the bill names no unit and the model may be billed in tokens or in another unit.
    """
    if item.model is None:
        tool = _TOOLS.get(item.service)
        return (BilledCounter((tool[0],), tool[1]),) if tool else ()
    surface = " ".join((item.surface or "").lower().split())
    tier = None if surface in _PRODUCTS | _BATCH else _tier(surface)
    return tuple(
        BilledCounter(operations, counter, item.model, batch=surface in _BATCH, tier=tier)
        for operations, counter in _counters(item, quantity_unit)
    )


def tier_of(row: UsageRow) -> str | None:
    """The service tier of a row of usage; None for the standard one."""
    return _tier(str(row.groups.get("service_tier") or "").strip().lower())


def counter_value(row: UsageRow, counter: str) -> Decimal:
    """How much of a counter a row of usage counted; never negative.

    A counter that the row leaves out is derived from the others where they tell it (`usage_records.Counter.parts`).
    """
    return max(_known(row.counters, counter), _ZERO)


def _tier(word: str) -> str | None:
    return None if word in _STANDARD_TIERS else _SAME_TIER.get(word, word)


def _counters(item: LineItem, quantity_unit: str | None) -> Iterator[tuple[tuple[str, ...], str]]:
    if quantity_unit in _OTHER_UNITS:
        operation, counter = _OTHER_UNITS[quantity_unit]
        yield (operation,), counter
        return
    tokens = _token_counter(item, quantity_unit)
    if tokens is not None:
        yield _TOKENS_OF_SERVICE.get(item.service, ("completions", "decisions")), tokens
    if item.service in _WITHOUT_UNIT and quantity_unit not in _TOKENS:
        operation, counter = _WITHOUT_UNIT[item.service]
        yield (operation,), counter


def _token_counter(item: LineItem, quantity_unit: str | None) -> str | None:
    kind = item.subcategory
    if kind is None:
        if item.service in _TOKENS_OF_SERVICE:
            return "input_uncached_tokens"
        return _ALL_TOKENS.name if quantity_unit in _TOKENS else None
    if kind.startswith("cache writes"):
        return "input_cache_write_12h_tokens" if "12h" in kind else "input_cache_write_30m_tokens"
    return _TOKEN_COUNTERS.get((kind, item.modality if item.modality in _MODALITIES else None))


def _known(counters: Mapping[str, Decimal], name: str) -> Decimal:
    if name in counters:
        return counters[name]
    total = _TOTAL_OF.get(name)
    if total is not None and name == total.parts[0] and _is_known(counters, total):
        return _known(counters, total.name) - sum((_known(counters, part) for part in total.parts[1:]), _ZERO)
    parts = _TOTALS[name].parts if name in _TOTALS else ()
    return sum((counters.get(part, _ZERO) for part in parts), _ZERO)


def _is_known(counters: Mapping[str, Decimal], total: Counter) -> bool:
    above = _TOTAL_OF.get(total.name)
    if total.name in counters:
        return True
    return above is not None and total.name == above.parts[0] and _is_known(counters, above)
