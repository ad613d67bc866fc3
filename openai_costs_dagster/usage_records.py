"""The words that the rooms share about usage: one description for each usage endpoint, and the shape of a row.

The description drives what is asked for, stored and shown: a new endpoint is one more `Operation` here. Sources: the
published spec, and the types of the official `openai` package, which are newer (docs/openai-api.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

GroupValue = str | bool | None
COMMON_GROUPS = ("project_id", "user_id", "api_key_id", "model")
"""The groups that have a column of their own."""


@dataclass(frozen=True)
class Counter:
    """One counter of a usage endpoint, by the API's own name.

    `parts` are the counters that add up to this one. Where the API leaves out the first of them, it is the rest after
    the others: text after audio and images, for example. A part that has no counter in a row, other than the first,
    counts zero.
    """

    name: str
    description: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """One usage endpoint: ``/organization/usage/<name>``.

    `groups` are all dimensions that it is asked to group by, `counter_definitions` describes what its rows count.
    """

    name: str
    groups: tuple[str, ...]
    counter_definitions: tuple[Counter, ...]
    result_object: str
    published: bool = True
    """Whether the published spec has it; others are asked for where the server has them."""

    @property
    def counters(self) -> tuple[str, ...]:
        """The names of its counters."""
        return tuple(counter.name for counter in self.counter_definitions)

    @property
    def other_groups(self) -> tuple[str, ...]:
        """Its groups beyond the common ones."""
        return tuple(group for group in self.groups if group not in COMMON_GROUPS)


class UsageRow(NamedTuple):
    """One row of a day's usage; unique within day and operation by everything but the counters.

    Null equals null: a dimension that the endpoint does not know is null, as is one that it could not tell.
    """

    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    model: str | None
    groups: Mapping[str, GroupValue]
    """The operation's other groups."""
    counters: Mapping[str, Decimal]
    """Only those that came; a counter that is null or absent is unknown, not zero."""


_REQUESTS = Counter("num_model_requests", "Requests made to the model.")
_UNCACHED = Counter(
    "input_uncached_tokens",
    "Input neither read from the cache nor written to it: text, audio and images.",
    ("input_text_tokens", "input_audio_tokens", "input_image_tokens"),
)
_CACHED = Counter(
    "input_cached_tokens",
    "Input read from the cache: text, audio and images.",
    ("input_cached_text_tokens", "input_cached_audio_tokens", "input_cached_image_tokens"),
)
_WRITTEN = Counter(
    "input_cache_write_tokens",
    "Input written to the cache, of both retention periods.",
    ("input_cache_write_30m_tokens", "input_cache_write_12h_tokens"),
)
_INPUT = Counter("input_tokens", "All input.", (_UNCACHED.name, _CACHED.name, _WRITTEN.name))
_OUTPUT = Counter(
    "output_tokens",
    "All output: text, audio and images.",
    ("output_text_tokens", "output_audio_tokens", "output_image_tokens"),
)
_TOKENS = (
    _INPUT,
    _CACHED,
    _UNCACHED,
    _WRITTEN,
    _OUTPUT,
    Counter("input_text_tokens", "Uncached text input, without cache writes."),
    Counter("input_cached_text_tokens", "Text input read from the cache."),
    Counter("output_text_tokens", "Text output."),
    Counter("input_audio_tokens", "Uncached audio input."),
    Counter("input_cached_audio_tokens", "Audio input read from the cache."),
    Counter("output_audio_tokens", "Audio output."),
    Counter("input_image_tokens", "Uncached image input."),
    Counter("input_cached_image_tokens", "Image input read from the cache."),
    Counter("output_image_tokens", "Image output."),
    _REQUESTS,
    Counter("input_cache_write_30m_tokens", "Input written to the cache for 30 minutes."),
    Counter("input_cache_write_12h_tokens", "Input written to the cache for 12 hours."),
)
TOKEN_TOTALS = (_INPUT, _UNCACHED, _CACHED, _WRITTEN, _OUTPUT)
"""The token counters that have parts. Source: the descriptions in the published spec and in the official SDK."""

_PLAIN_INPUT = Counter("input_tokens", "All input; these models have no cache.")
_BY_MODEL = COMMON_GROUPS
_BY_TIER = (*COMMON_GROUPS, "batch", "service_tier")

OPERATIONS: tuple[Operation, ...] = (
    Operation("completions", _BY_TIER, _TOKENS, "organization.usage.completions.result"),
    Operation("embeddings", _BY_MODEL, (_PLAIN_INPUT, _REQUESTS), "organization.usage.embeddings.result"),
    Operation("moderations", _BY_MODEL, (_PLAIN_INPUT, _REQUESTS), "organization.usage.moderations.result"),
    Operation(
        "images",
        (*_BY_MODEL, "size", "source"),
        (Counter("images", "Images processed, whatever their size."), _REQUESTS),
        "organization.usage.images.result",
    ),
    Operation(
        "audio_speeches",
        _BY_MODEL,
        (Counter("characters", "Characters of text spoken."), _REQUESTS),
        "organization.usage.audio_speeches.result",
    ),
    Operation(
        "audio_transcriptions",
        _BY_MODEL,
        (Counter("seconds", "Seconds of audio transcribed."), _REQUESTS),
        "organization.usage.audio_transcriptions.result",
    ),
    Operation(
        "vector_stores",
        ("project_id",),
        (Counter("usage_bytes", "Bytes stored."),),
        "organization.usage.vector_stores.result",
    ),
    Operation(
        "code_interpreter_sessions",
        ("project_id",),
        (Counter("num_sessions", "Sessions of the code interpreter."),),
        "organization.usage.code_interpreter_sessions.result",
    ),
    Operation(
        "file_search_calls",
        ("project_id", "user_id", "api_key_id", "vector_store_id"),
        (Counter("num_requests", "Calls of the file search tool."),),
        "organization.usage.file_searches.result",
    ),
    Operation(
        "web_search_calls",
        (*_BY_MODEL, "context_level"),
        (Counter("num_requests", "Calls of the web search tool."), _REQUESTS),
        "organization.usage.web_searches.result",
    ),
    Operation("decisions", _BY_TIER, _TOKENS, "organization.usage.decisions.result", published=False),
)

COLUMNS: tuple[str, ...] = tuple(
    dict.fromkeys(name for operation in OPERATIONS for name in (*operation.other_groups, *operation.counters))
)
"""Other groups and counters of all operations, each once. One more operation appends to them and changes none."""

COUNTERS = frozenset(name for operation in OPERATIONS for name in operation.counters)
FLAGS = frozenset({"batch"})
"""Groups that are true or false."""
