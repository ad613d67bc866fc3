"""The usage endpoints: their dimensions, filters and counters, and the values of the counters for a fact.

Costs and usage are computed from the same facts. The billed quantity of a line item in tokens therefore equals the
counted number. Counters are whole numbers. Fractions, which arise from a partial day or a planted factor, are rounded
down for each fact, so that all groupings have equal totals.

To add a usage endpoint, add a `UsageEndpoint` to `ENDPOINTS`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from openai_costs_dagster.simulator.facts import EXACT, Fact

Counts = dict[str, int]
Value = str | bool | None

# The filter parameter of each dimension. `batch` takes true or false, and the other parameters take any number of
# values.
FILTERS = {
    "project_id": "project_ids",
    "user_id": "user_ids",
    "api_key_id": "api_key_ids",
    "model": "models",
    "batch": "batch",
    "size": "sizes",
    "source": "sources",
    "vector_store_id": "vector_store_ids",
    "context_level": "context_levels",
}
FILTER_VALUES = {
    "sizes": ("256x256", "512x512", "1024x1024", "1792x1792", "1024x1792"),
    "sources": ("image.generation", "image.edit", "image.variation"),
    "context_levels": ("low", "medium", "high"),
}

# Fields that OpenAI's SDK contains and the published specification does not.
NEWER = frozenset({"api_source", "input_cache_write_30m_tokens", "input_cache_write_12h_tokens"})

_TIERS = frozenset({"priority", "fast", "ultrafast", "flex", "scale", "reserved"})
# The pattern matches labels such as "priority | gpt-5.6-sol, cached input, long context".
_LABEL = re.compile(
    r"(?:(?P<surface>[^|]+) \| )?[^,]*?(?: (?P<modality>text|audio|image))?, (?P<kind>[^,]+)(?:, long context)?"
)
_KINDS = {
    "input": ("input_tokens", "input_uncached_tokens", "input_{modality}_tokens"),
    "cached input": ("input_tokens", "input_cached_tokens", "input_cached_{modality}_tokens"),
    "cache writes": ("input_tokens", "input_cache_write_tokens", "input_cache_write_30m_tokens"),
    "cache writes - 12hr": ("input_tokens", "input_cache_write_tokens", "input_cache_write_12h_tokens"),
    "output": ("output_tokens", "output_{modality}_tokens"),
}
_TOKEN_UNITS = {"tokens", "1000_tokens"}
_UNITS = {
    "tokens": ("tokens", 1),
    "1000_tokens": ("tokens", 1_000),
    "characters": ("characters", 1),
    "duration_seconds": ("seconds", 1),
    "duration_minutes": ("seconds", 60),
    "duration_hours": ("seconds", 3_600),
    "images": ("images", 1),
    # The costs of tools have no unit. Usage counts the calls or sessions of these tools.
    None: ("calls", 1),
}
_HOURS_PER_DAY = 24
_BYTES_PER_GIBIBYTE = 2**30


@dataclass(frozen=True, slots=True)
class UsageEndpoint:
    """The endpoint ``/organization/usage/{name}``, which counts the facts whose operation is `name`.

    `result` is the type that each row names in its field `object`. Queries can group by all `dimensions`, and filter by
    the dimensions in `FILTERS`. `counters` are always numbers, while `optional` counters may be null. `counts` returns
    the counters of a fact.
    """

    name: str
    result: str
    dimensions: tuple[str, ...]
    counters: tuple[str, ...]
    counts: Callable[[Fact], Counts]
    optional: tuple[str, ...] = ()

    @property
    def filters(self) -> dict[str, str]:
        """The filter parameters of this endpoint, by dimension."""
        return {name: FILTERS[name] for name in self.dimensions if name in FILTERS}


def is_counted_by(fact: Fact, operation: str) -> bool:
    """Return whether a usage endpoint counts a fact.

    The endpoint `completions` also counts the tokens of images and audio.
    """
    is_tokens = fact.operation in {"images", "audio_speeches", "audio_transcriptions"}
    return fact.operation == operation or (
        operation == "completions" and is_tokens and fact.quantity_unit in _TOKEN_UNITS
    )


def dimension(fact: Fact, name: str) -> Value:
    """Return the value of a fact in a dimension, or None if the fact has no value in this dimension."""
    match name:
        case "batch":
            return _surface(fact) == "batch"
        case "service_tier":
            surface = _surface(fact)
            return surface if surface in _TIERS else "default"
        case "size":
            return "1024x1024"
        case "source":
            return "image.generation"
        case "context_level":
            return "medium"
        case "vector_store_id":
            return fact.project_id and fact.project_id.replace("proj_", "vs_", 1)
        case _:
            value: str | None = getattr(fact, name)
            return value


def _surface(fact: Fact) -> str | None:
    label = _LABEL.fullmatch(fact.line_item or "")
    return label["surface"] if label else None


def _quantity_in(fact: Fact, unit: str) -> int:
    """Return the quantity of a fact in a unit such as tokens or calls, rounded down.

    Return 0 if the fact has another unit.
    """
    base, factor = _UNITS.get(fact.quantity_unit, (None, 0))
    return int(EXACT.multiply(fact.units, Decimal(factor))) if base == unit else 0


def _tokens_by_kind(fact: Fact) -> Counts:
    label = _LABEL.fullmatch(fact.line_item or "")
    # In OpenAI's newest documentation, the kind has underscores and a suffix, as in `gpt-6-astra, input_tokens`.
    kind = label["kind"].removesuffix("_tokens").replace("_", " ") if label else ""
    modality = (label and label["modality"]) or "text"
    tokens = _quantity_in(fact, "tokens")
    token_counters = {counter.format(modality=modality): tokens for counter in _KINDS.get(kind, ())}
    return {**token_counters, "num_model_requests": fact.requests}


def _by_unit(unit: str, counter: str) -> Callable[[Fact], Counts]:
    return lambda fact: {counter: _quantity_in(fact, unit), "num_model_requests": fact.requests}


def _images(fact: Fact) -> Counts:
    """Return the number of images.

    A fact that is billed in tokens has no number of images, so each request counts as one.
    """
    images = _quantity_in(fact, "images") if fact.quantity_unit == "images" else fact.requests
    return {"images": images, "num_model_requests": fact.requests}


def _average_bytes(fact: Fact) -> Counts:
    """Return the average number of bytes that are stored during the day, computed from the billed GiB-hours."""
    if fact.quantity_unit != "gibibyte_hours":
        return {}
    byte_hours = EXACT.multiply(fact.units, Decimal(_BYTES_PER_GIBIBYTE))
    return {"usage_bytes": int(EXACT.divide_int(byte_hours, Decimal(_HOURS_PER_DAY)))}


_OWNER = ("project_id", "user_id", "api_key_id")
_MODEL = (*_OWNER, "model")
_MODEL_TIER_SOURCE = (*_MODEL, "batch", "service_tier", "api_source")
_REQUESTS = "num_model_requests"
_TOKENS = ("input_tokens", "output_tokens", _REQUESTS)
_OPTIONAL_TOKENS = (
    "input_cached_tokens",
    "input_cache_write_tokens",
    "input_cache_write_30m_tokens",
    "input_cache_write_12h_tokens",
    "input_uncached_tokens",
    *(
        f"{kind}_{modality}_tokens"
        for modality in ("text", "audio", "image")
        for kind in ("input", "input_cached", "output")
    ),
)


def _endpoint(
    name: str,
    dimensions: tuple[str, ...],
    counters: tuple[str, ...],
    counts: Callable[[Fact], Counts],
    *,
    result: str | None = None,
    optional: tuple[str, ...] = (),
) -> UsageEndpoint:
    return UsageEndpoint(name, f"organization.usage.{result or name}.result", dimensions, counters, counts, optional)


ENDPOINTS = {
    endpoint.name: endpoint
    for endpoint in (
        _endpoint("completions", _MODEL_TIER_SOURCE, _TOKENS, _tokens_by_kind, optional=_OPTIONAL_TOKENS),
        _endpoint("decisions", _MODEL_TIER_SOURCE, _TOKENS, _tokens_by_kind, optional=_OPTIONAL_TOKENS),
        _endpoint("embeddings", _MODEL, ("input_tokens", _REQUESTS), _by_unit("tokens", "input_tokens")),
        _endpoint("moderations", _MODEL, ("input_tokens", _REQUESTS), _by_unit("tokens", "input_tokens")),
        _endpoint("images", (*_MODEL, "size", "source"), ("images", _REQUESTS), _images),
        _endpoint("audio_speeches", _MODEL, ("characters", _REQUESTS), _by_unit("characters", "characters")),
        _endpoint("audio_transcriptions", _MODEL, ("seconds", _REQUESTS), _by_unit("seconds", "seconds")),
        _endpoint("vector_stores", ("project_id",), ("usage_bytes",), _average_bytes),
        _endpoint("code_interpreter_sessions", ("project_id",), ("num_sessions",), _by_unit("calls", "num_sessions")),
        _endpoint(
            "file_search_calls",
            (*_OWNER, "vector_store_id"),
            ("num_requests",),
            _by_unit("calls", "num_requests"),
            result="file_searches",
        ),
        _endpoint(
            "web_search_calls",
            (*_MODEL, "context_level", "api_source"),
            ("num_requests", _REQUESTS),
            _by_unit("calls", "num_requests"),
            result="web_searches",
        ),
    )
}
