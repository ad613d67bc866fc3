"""What each usage endpoint counts, and how much of each counter one fact is worth.

Costs and usage are told from the same facts, so for line items in tokens the quantity that is billed is the
number that is counted. A counter is whole: the part of a unit that a part of a day or a planted factor makes
is rounded down, fact by fact, so that every grouping still adds up to the same. Nothing here knows money.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from openai_costs_dagster.simulator.facts import EXACT, Fact

Counts = dict[str, int]
Value = str | bool | None

# By which parameter an endpoint that has the dimension is filtered; `batch` takes true or false, the others
# any number of values.
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

# Known to the official SDK and not to the published spec.
NEWER = frozenset({"api_source", "input_cache_write_30m_tokens", "input_cache_write_12h_tokens"})

_TIERS = frozenset({"priority", "fast", "ultrafast", "flex", "scale", "reserved"})
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
    None: ("calls", 1),
}
_HOURS_OF_A_DAY = 24
_BYTES_OF_A_GIBIBYTE = 2**30


@dataclass(frozen=True, slots=True)
class UsageEndpoint:
    """`/organization/usage/{name}`, which counts the facts whose operation is `name`.

    `result` is what its rows call themselves. `dimensions` may be grouped by and, where `FILTERS` has them,
    filtered by. `counters` are always numbers, `optional` ones may be null.
    """

    name: str
    result: str
    dimensions: tuple[str, ...]
    counters: tuple[str, ...]
    counts: Callable[[Fact], Counts]
    optional: tuple[str, ...] = ()

    @property
    def filters(self) -> dict[str, str]:
        """The parameter of every dimension that can be filtered by."""
        return {name: FILTERS[name] for name in self.dimensions if name in FILTERS}


def is_counted_by(fact: Fact, operation: str) -> bool:
    """Whether a usage endpoint counts a fact. Tokens of images and audio are counted by `completions` as well."""
    is_tokens = fact.operation in {"images", "audio_speeches", "audio_transcriptions"}
    return fact.operation == operation or (
        operation == "completions" and is_tokens and fact.quantity_unit in _TOKEN_UNITS
    )


def dimension(fact: Fact, name: str) -> Value:
    """What a fact has in a dimension; None where it has nothing."""
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


def _whole(fact: Fact, unit: str) -> int:
    """How many whole `unit` (tokens, seconds, calls …) a fact is; 0 if it is told in something else."""
    base, factor = _UNITS.get(fact.quantity_unit, (None, 0))
    return int(EXACT.multiply(fact.units, Decimal(factor))) if base == unit else 0


def _tokens_by_kind(fact: Fact) -> Counts:
    label = _LABEL.fullmatch(fact.line_item or "")
    kind = label["kind"].removesuffix("_tokens").replace("_", " ") if label else ""
    modality = (label and label["modality"]) or "text"
    tokens = _whole(fact, "tokens")
    counted = {counter.format(modality=modality): tokens for counter in _KINDS.get(kind, ())}
    return {**counted, "num_model_requests": fact.requests}


def _by_unit(unit: str, counter: str) -> Callable[[Fact], Counts]:
    return lambda fact: {counter: _whole(fact, unit), "num_model_requests": fact.requests}


def _images(fact: Fact) -> Counts:
    """A request makes one image where the bill tells tokens rather than images."""
    images = _whole(fact, "images") if fact.quantity_unit == "images" else fact.requests
    return {"images": images, "num_model_requests": fact.requests}


def _average_bytes(fact: Fact) -> Counts:
    """The bytes that were held on the average of a whole day, which were billed by the GiB-hour."""
    if fact.quantity_unit != "gibibyte_hours":
        return {}
    byte_hours = EXACT.multiply(fact.units, Decimal(_BYTES_OF_A_GIBIBYTE))
    return {"usage_bytes": int(EXACT.divide_int(byte_hours, Decimal(_HOURS_OF_A_DAY)))}


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
