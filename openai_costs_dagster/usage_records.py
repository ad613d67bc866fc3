"""Usage endpoints with their groups and counters, and the record of a usage row.

To support a new usage endpoint, add an `Operation` to `OPERATIONS`. To support a new counter, add a `Counter` to its
operations. In both cases, append the new column names to `COLUMNS`; CONTRIBUTING.md lists the remaining steps under
"Add a usage counter". The endpoints and counters come from OpenAI's published specification and from the types of the
official `openai` package (docs/openai-api.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

GroupValue = str | bool | None
COMMON_GROUPS = ("project_id", "user_id", "api_key_id", "model")
"""The groups that are fields of `UsageRow`. All other groups of an operation are in `UsageRow.groups`."""


@dataclass(frozen=True)
class Counter:
    """A counter of a usage endpoint, with OpenAI's name.

    `parts` are the counters that add up to this counter. If the API omits the first part, its value is the total minus
    the other parts, for example text tokens as all tokens minus audio and image tokens. Any other part that is missing
    in a row counts as zero.
    """

    name: str
    description: str
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """A usage endpoint, ``/organization/usage/<name>``.

    `groups` are the dimensions by which requests group the rows. `result_object` is the type of its rows in OpenAI's
    specification.
    """

    name: str
    groups: tuple[str, ...]
    counter_definitions: tuple[Counter, ...]
    result_object: str
    published: bool = True
    """Whether the published specification contains the endpoint. Other endpoints may be missing on a server."""

    @property
    def counters(self) -> tuple[str, ...]:
        """The names of the counters."""
        return tuple(counter.name for counter in self.counter_definitions)

    @property
    def other_groups(self) -> tuple[str, ...]:
        """The groups that are not in `COMMON_GROUPS`."""
        return tuple(group for group in self.groups if group not in COMMON_GROUPS)


class UsageRow(NamedTuple):
    """A usage row of one day and operation. The row is unique by all fields except the counters.

    Two rows that both have None in a dimension count as equal in this dimension. A dimension is None if the endpoint
    does not have the dimension, or sends no value for the dimension.
    """

    project_id: str | None
    user_id: str | None
    api_key_id: str | None
    model: str | None
    groups: Mapping[str, GroupValue]
    """The values of the operation's other groups."""
    counters: Mapping[str, Decimal]
    """The counters that OpenAI sent. A counter that is null or missing is unknown, not zero."""


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
    # The specification excludes cached tokens and cache writes from the counters of a modality.
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
"""The counters of all input and output tokens, and of the uncached, cached and cache-written input tokens.

According to the published specification and the official SDK, each of these counters is the sum of other counters.
"""

_PLAIN_INPUT = Counter("input_tokens", "All input. These models have no cache.")
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
    # The official SDK has the endpoint `decisions`, but the published specification does not.
    Operation("decisions", _BY_TIER, _TOKENS, "organization.usage.decisions.result", published=False),
)

COLUMNS: tuple[str, ...] = (
    *("batch", "service_tier"),
    *("input_tokens", "input_cached_tokens", "input_uncached_tokens", "input_cache_write_tokens", "output_tokens"),
    *("input_text_tokens", "input_cached_text_tokens", "output_text_tokens"),
    *("input_audio_tokens", "input_cached_audio_tokens", "output_audio_tokens"),
    *("input_image_tokens", "input_cached_image_tokens", "output_image_tokens"),
    "num_model_requests",
    *("input_cache_write_30m_tokens", "input_cache_write_12h_tokens"),
    *("size", "source", "images", "characters", "seconds", "usage_bytes", "num_sessions"),
    *("vector_store_id", "num_requests", "context_level"),
)
"""The columns of the view `daily_usage` for all counters, and for all groups outside `COMMON_GROUPS`.

Add a new column at the end: PostgreSQL's `create or replace view` can append columns to an existing view, but cannot
move or rename its columns.
"""

COUNTERS = frozenset(name for operation in OPERATIONS for name in operation.counters)
FLAGS = frozenset({"batch"})
"""The groups with boolean values."""
