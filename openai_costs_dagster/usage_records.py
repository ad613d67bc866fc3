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
class Operation:
    """One usage endpoint: ``/organization/usage/<name>``.

    `groups` are all dimensions that it is asked to group by, `counters` what its rows count, by the API's own names.
    """

    name: str
    groups: tuple[str, ...]
    counters: tuple[str, ...]
    result_object: str
    published: bool = True
    """Whether the published spec has it; others are asked for where the server has them."""

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


_TOKENS = (
    "input_tokens",
    "input_cached_tokens",
    "input_uncached_tokens",
    "input_cache_write_tokens",
    "output_tokens",
    "input_text_tokens",
    "input_cached_text_tokens",
    "output_text_tokens",
    "input_audio_tokens",
    "input_cached_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "input_cached_image_tokens",
    "output_image_tokens",
    "num_model_requests",
)
_BY_MODEL = COMMON_GROUPS
_BY_TIER = (*COMMON_GROUPS, "batch", "service_tier")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "completions",
        _BY_TIER,
        (*_TOKENS, "input_cache_write_30m_tokens", "input_cache_write_12h_tokens"),
        "organization.usage.completions.result",
    ),
    Operation("embeddings", _BY_MODEL, ("input_tokens", "num_model_requests"), "organization.usage.embeddings.result"),
    Operation(
        "moderations", _BY_MODEL, ("input_tokens", "num_model_requests"), "organization.usage.moderations.result"
    ),
    Operation(
        "images",
        (*_BY_MODEL, "size", "source"),
        ("images", "num_model_requests"),
        "organization.usage.images.result",
    ),
    Operation(
        "audio_speeches", _BY_MODEL, ("characters", "num_model_requests"), "organization.usage.audio_speeches.result"
    ),
    Operation(
        "audio_transcriptions",
        _BY_MODEL,
        ("seconds", "num_model_requests"),
        "organization.usage.audio_transcriptions.result",
    ),
    Operation("vector_stores", ("project_id",), ("usage_bytes",), "organization.usage.vector_stores.result"),
    Operation(
        "code_interpreter_sessions",
        ("project_id",),
        ("num_sessions",),
        "organization.usage.code_interpreter_sessions.result",
    ),
    Operation(
        "file_search_calls",
        ("project_id", "user_id", "api_key_id", "vector_store_id"),
        ("num_requests",),
        "organization.usage.file_searches.result",
    ),
    Operation(
        "web_search_calls",
        (*_BY_MODEL, "context_level"),
        ("num_requests", "num_model_requests"),
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
