"""Determines by which usage counter the cost of a line item is allocated to users and API keys.

The usage counter depends on the billed unit, and not on the product. The cost of a line item that is billed in tokens
is split by tokens, and the cost of a line item that is billed in images, seconds or characters is split by images,
seconds or characters. For example, image generation is split by the counter `images` if it is billed per image, and by
image tokens if it is billed per token.

To add a rule, add a unit to `_UNIT_COUNTERS`, a tool to `_TOOL_COUNTERS`, a kind of token to `_TOKEN_COUNTERS`, or a
service whose bill has no unit to `_COUNTERS_WITHOUT_UNIT`. A new counter of the usage API is declared in the table
`OPERATIONS` of `usage_records.py`.

docs/openai-api.md describes the line items and the counters of the usage endpoints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from openai_costs_dagster.records import LineItem
from openai_costs_dagster.usage_records import OPERATIONS, TOKEN_TOTALS, Counter, UsageRow

_ZERO = Decimal(0)

TOKEN_OPERATIONS = tuple(operation.name for operation in OPERATIONS if "input_tokens" in operation.counters)
"""The names of the usage endpoints that count tokens."""

# The names of the standard service tier. In a label, a tier or a product stands before the separator " | ".
_STANDARD_TIERS = {"", "default", "auto", "standard"}
# OpenAI renamed the tier Priority to Fast in July 2026. Labels from before and after the change must lead to the same
# tier.
_TIER_SYNONYMS = {"fast": "priority"}
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
"""Texts before " | " in a label that name a product, which is billed at the standard tier.

Any other text before " | " names a service tier.
"""
_BATCH = {"batch", "batch api"}

# The number of tokens in each billed unit of tokens.
_TOKENS = {"tokens": 1, "1000_tokens": 1000}
_SECONDS = {"duration_seconds": 1, "duration_minutes": 60, "duration_hours": 3600}
_UNIT_COUNTERS: dict[str, tuple[str, str]] = {
    "images": ("images", "images"),
    "characters": ("audio_speeches", "characters"),
    **dict.fromkeys(_SECONDS, ("audio_transcriptions", "seconds")),
}
"""The usage endpoint and the counter for each billed unit other than tokens."""
_FACTORS: dict[str, Mapping[str, int]] = {"images": {"images": 1}, "characters": {"characters": 1}, "seconds": _SECONDS}
_TOOL_COUNTERS = {
    "Web search": ("web_search_calls", "num_requests"),
    "File search": ("file_search_calls", "num_requests"),
    "Code interpreter": ("code_interpreter_sessions", "num_sessions"),
    "Vector stores": ("vector_stores", "usage_bytes"),
}
"""The usage endpoint and the counter for each billed tool."""
_TOKEN_OPERATIONS_OF_SERVICE = {"Embeddings": ("embeddings",), "Moderations": ("moderations",)}
_COUNTERS_WITHOUT_UNIT = {
    "Images": ("images", "images"),
    "Audio transcriptions": ("audio_transcriptions", "seconds"),
    "Audio speeches": ("audio_speeches", "characters"),
}
"""The usage endpoint and the counter for services whose line items may have no unit."""

# The tables below map each kind of token, by modality, to the counter in the usage data.
_MODALITIES = ("text", "audio", "image")
_TOKEN_COUNTERS: dict[tuple[str, str | None], str] = {
    ("input", None): "input_uncached_tokens",
    ("cached input", None): "input_cached_tokens",
    ("output", None): "output_tokens",
    **{("input", modality): f"input_{modality}_tokens" for modality in _MODALITIES},
    **{("cached input", modality): f"input_cached_{modality}_tokens" for modality in _MODALITIES},
    **{("output", modality): f"output_{modality}_tokens" for modality in _MODALITIES},
}
_BOTH = ("input_tokens", "output_tokens")
_ALL_TOKENS = Counter("all_tokens", "Input and output tokens, which a label without a kind bills together.", _BOTH)
_TOTALS = {total.name: total for total in (*TOKEN_TOTALS, _ALL_TOKENS)}
_TOTAL_OF = {part: total for total in TOKEN_TOTALS for part in total.parts}


class BilledCounter(NamedTuple):
    """The usage counter that measures a line item, for one model and service tier.

    The usage endpoints are in `operations`.
    """

    operations: tuple[str, ...]
    counter: str
    model: str | None = None
    """The billed model, or None for tools, which are billed without a model."""
    batch: bool = False
    tier: str | None = None
    """The service tier, or None for the standard tier."""

    @property
    def is_standard(self) -> bool:
        """Whether the line item is billed at the standard service tier."""
        return not self.batch and self.tier is None

    def counter_units_per(self, quantity_unit: str | None) -> int | None:
        """Return how many counted units one billed unit contains, or None if the two units differ in kind."""
        factors = _FACTORS.get(self.counter, _TOKENS if self.counter.endswith("_tokens") else {})
        return factors.get(quantity_unit or "")

    def matches_tier(self, row: UsageRow) -> bool:
        """Return whether the work in a row of usage had the service tier of this line item.

        Batch work has no service tier. A row from a usage endpoint that does not report tiers matches every tier.
        """
        batch = row.groups.get("batch")
        if batch is None and self.batch:
            return True
        if batch or self.batch:
            return bool(batch) and self.batch
        return "service_tier" not in row.groups or tier_of(row) == self.tier


def billed_counters(item: LineItem, quantity_unit: str | None = None) -> tuple[BilledCounter, ...]:
    """Return the usage counters that may measure a line item, the most likely counter first.

    The list is empty if no usage endpoint counts the line item. The list has two entries only if the bill has no unit
    and the model may be billed in tokens or in another unit.
    """
    if item.model is None:
        tool = _TOOL_COUNTERS.get(item.service)
        return (BilledCounter((tool[0],), tool[1]),) if tool else ()
    surface = " ".join((item.surface or "").lower().split())
    tier = None if surface in _PRODUCTS | _BATCH else _tier(surface)
    return tuple(
        BilledCounter(operations, counter, item.model, batch=surface in _BATCH, tier=tier)
        for operations, counter in _counters(item, quantity_unit)
    )


def tier_of(row: UsageRow) -> str | None:
    """Return the service tier of a row of usage, or None for the standard tier."""
    return _tier(str(row.groups.get("service_tier") or "").strip().lower())


def counter_value(row: UsageRow, counter: str) -> Decimal:
    """Return the value of a counter in a row of usage, which is never negative.

    A counter that is missing in the row is derived from the other counters, as `usage_records.Counter.parts` describes.
    """
    return max(_value(row.counters, counter), _ZERO)


def _tier(word: str) -> str | None:
    return None if word in _STANDARD_TIERS else _TIER_SYNONYMS.get(word, word)


def _counters(item: LineItem, quantity_unit: str | None) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the usage endpoints and the counter that may measure the line item of a model, the most likely first."""
    if quantity_unit in _UNIT_COUNTERS:
        operation, counter = _UNIT_COUNTERS[quantity_unit]
        yield (operation,), counter
        return
    tokens = _token_counter(item, quantity_unit)
    if tokens is not None:
        yield _TOKEN_OPERATIONS_OF_SERVICE.get(item.service, ("completions", "decisions")), tokens
    if item.service in _COUNTERS_WITHOUT_UNIT and quantity_unit not in _TOKENS:
        operation, counter = _COUNTERS_WITHOUT_UNIT[item.service]
        yield (operation,), counter


def _token_counter(item: LineItem, quantity_unit: str | None) -> str | None:
    kind = item.subcategory
    if kind is None:
        if item.service in _TOKEN_OPERATIONS_OF_SERVICE:
            return "input_uncached_tokens"
        return _ALL_TOKENS.name if quantity_unit in _TOKENS else None
    if kind.startswith("cache writes"):
        return "input_cache_write_12h_tokens" if "12h" in kind else "input_cache_write_30m_tokens"
    return _TOKEN_COUNTERS.get((kind, item.modality if item.modality in _MODALITIES else None))


def _value(counters: Mapping[str, Decimal], name: str) -> Decimal:
    if name in counters:
        return counters[name]
    total = _TOTAL_OF.get(name)
    # A total consists of parts. The first part is not reported, so it is computed as the total less the other parts.
    if total is not None and name == total.parts[0] and _is_known(counters, total):
        return _value(counters, total.name) - sum((_value(counters, part) for part in total.parts[1:]), _ZERO)
    parts = _TOTALS[name].parts if name in _TOTALS else ()
    return sum((counters.get(part, _ZERO) for part in parts), _ZERO)


def _is_known(counters: Mapping[str, Decimal], total: Counter) -> bool:
    """Return whether the row of usage contains a total, or allows its computation from a larger total."""
    if total.name in counters:
        return True
    parent = _TOTAL_OF.get(total.name)
    return parent is not None and total.name == parent.parts[0] and _is_known(counters, parent)
