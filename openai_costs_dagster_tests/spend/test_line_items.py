"""Tests of the classification of line items: observed labels exactly, and unknown labels as their own category."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from openai_costs_dagster.records import LineItem
from openai_costs_dagster.spend.allocation.allocation_rules import billed_counters
from openai_costs_dagster.spend.line_items import UNLABELLED, classify

_CHAT = "Chat completions"

# Every label that is known from captured API responses, the documentation and the code of other connectors.
_OBSERVED: dict[str | None, tuple[str, str, str | None, str | None]] = {
    "gpt-6-astra, input_tokens": (_CHAT, "gpt-6-astra", "input", "gpt-6-astra"),
    "gpt-5.5-2026-04-23, input": (_CHAT, "gpt-5.5-2026-04-23", "input", "gpt-5.5-2026-04-23"),
    "gpt-5.5-2026-04-23, cached input": (_CHAT, "gpt-5.5-2026-04-23", "cached input", "gpt-5.5-2026-04-23"),
    "gpt-5.5-2026-04-23, output": (_CHAT, "gpt-5.5-2026-04-23", "output", "gpt-5.5-2026-04-23"),
    "gpt-5.5-2026-04-23, cache writes": (_CHAT, "gpt-5.5-2026-04-23", "cache writes", "gpt-5.5-2026-04-23"),
    "gpt-5-search-api-2025-10-14, input": (
        _CHAT,
        "gpt-5-search-api-2025-10-14",
        "input",
        "gpt-5-search-api-2025-10-14",
    ),
    "gpt-5-search-api-2025-10-14, cached input": (
        _CHAT,
        "gpt-5-search-api-2025-10-14",
        "cached input",
        "gpt-5-search-api-2025-10-14",
    ),
    "ft-gpt-4o-2024-08-06, output": (_CHAT, "ft-gpt-4o-2024-08-06", "output", "ft-gpt-4o-2024-08-06"),
    "evals | gpt-4o-mini-2024-07-18, input": (_CHAT, "gpt-4o-mini-2024-07-18", "input", "gpt-4o-mini-2024-07-18"),
    "priority | gpt-5.6-sol, output, long context": (_CHAT, "gpt-5.6-sol", "output", "gpt-5.6-sol"),
    "gpt-audio-mini-2025-12-15 audio, input": (
        _CHAT,
        "gpt-audio-mini-2025-12-15",
        "input",
        "gpt-audio-mini-2025-12-15",
    ),
    "gpt-audio-mini-2025-12-15 text, output": (
        _CHAT,
        "gpt-audio-mini-2025-12-15",
        "output",
        "gpt-audio-mini-2025-12-15",
    ),
    "gpt-image-2.5-sunburst text, cached input": (
        "Images",
        "gpt-image-2.5-sunburst",
        "cached input",
        "gpt-image-2.5-sunburst",
    ),
    "gpt-image-1 image, output": ("Images", "gpt-image-1", "output", "gpt-image-1"),
    "text-embedding-3-small, input": ("Embeddings", "text-embedding-3-small", "input", "text-embedding-3-small"),
    "assistants api | file search": ("File search", "File search", None, None),
    "web search tool calls": ("Web search", "Web search", None, None),
    "whisper": ("Audio transcriptions", "whisper", None, "whisper"),
    "Vector storage": ("Vector stores", "Vector stores", None, None),
    "Code interpreter sessions": ("Code interpreter", "Code interpreter", None, None),
    "Promotional credit": ("Credits", "Credits", None, None),
    "cache writes - 12hr": ("cache writes - 12hr", "cache writes - 12hr", None, None),
    "gpt-live-1, voice session": ("Realtime", "gpt-live-1", "voice session", "gpt-live-1"),
    "gpt-4o, images": (_CHAT, "gpt-4o", "images", "gpt-4o"),
    "": (UNLABELLED, UNLABELLED, None, None),
    None: (UNLABELLED, UNLABELLED, None, None),
}


@pytest.mark.parametrize("label", _OBSERVED)
def test_observed_label_is_classified_exactly(label: str | None) -> None:
    item = classify(label)
    assert (item.service, item.category, item.subcategory, item.model) == _OBSERVED[label]


@pytest.mark.parametrize(
    ("label", "surface", "modality", "long_context"),
    [
        ("gpt-5.5-2026-04-23, input", None, None, False),
        ("evals | gpt-4o-mini-2024-07-18, input", "evals", None, False),
        ("priority | gpt-5.6-sol, output, long context", "priority", None, True),
        ("gpt-audio-mini-2025-12-15 audio, input", None, "audio", False),
        ("gpt-image-1 image, output", None, "image", False),
        ("assistants api | file search", "assistants api", None, False),
        ("batch | whisper", "batch", None, False),
    ],
)
def test_surface_modality_and_context_are_parsed(
    label: str, surface: str | None, modality: str | None, long_context: bool
) -> None:
    item = classify(label)
    assert (item.surface, item.modality, item.long_context) == (surface, modality, long_context)


@pytest.mark.parametrize(
    ("label", "service"),
    [
        ("omni-moderation-latest, input", "Moderations"),
        ("text-embedding-ada-002, input", "Embeddings"),
        ("dall-e-3, images", "Images"),
        ("chatgpt-image-latest image, output", "Images"),
        ("sora-2 video, output", "Videos"),
        ("gpt-4o-transcribe audio, input", "Audio transcriptions"),
        ("gpt-4o-mini-tts text, input", "Audio speeches"),
        ("tts-1, characters", "Audio speeches"),
        ("gpt-realtime-2025-08-28 audio, output", "Realtime"),
        ("o3-2025-04-16, output", _CHAT),
        ("ft:gpt-4o-mini-2024-07-18:acme::AbC, input", _CHAT),
        ("batch | o4-mini-2025-04-16, input", _CHAT),
    ],
)
def test_model_of_a_known_family_has_its_service(label: str, service: str) -> None:
    item = classify(label)
    assert item.service == service
    assert item.model == item.category
    assert item.model in label


_models = st.from_regex(r"gpt-[0-9](\.[0-9])?(-[a-z]{1,8})?(-20[0-9]{2}-[01][0-9]-[0-3][0-9])?", fullmatch=True)
_kinds = st.sampled_from(["input", "cached input", "output", "cache writes", "voice session", "images", "x y z"])


@given(
    st.sampled_from([None, "evals", "priority", "assistants api"]),
    _models,
    st.sampled_from([None, "text", "audio", "image"]),
    _kinds,
    st.booleans(),
)
def test_label_of_the_grammar_is_parsed_into_its_fields(
    surface: str | None, model: str, modality: str | None, kind: str, long_context: bool
) -> None:
    label = f"{surface} | " if surface else ""
    label += f"{model} {modality}" if modality else model
    label += f", {kind}, long context" if long_context else f", {kind}"
    item = classify(label)
    assert (item.category, item.subcategory, item.model) == (model, kind, model)
    assert (item.surface, item.modality, item.long_context) == (surface, modality, long_context)


@given(st.none() | st.text(max_size=60) | st.text(st.sampled_from("gpt-4o|, inpux\n\t_")) | st.text("ab, |"))
@example("gpt-4o,input")
@example("evals |gpt-4o")
def test_any_text_is_classified(label: str | None) -> None:
    item = classify(label)
    assert isinstance(item, LineItem)
    assert item.service.strip()
    assert item.category.strip()
    if item.model is not None:
        assert item.model == item.category
        assert item.model in (label or "")
        assert not set(item.model) & set(",| \n")


@pytest.mark.parametrize(
    "label", ["Something new", "x | y", "'; drop table --", "<b>bold</b>", "=1+1", "a, b, c", " , "]
)
def test_unknown_label_is_its_own_service_and_category(label: str) -> None:
    assert classify(label) == LineItem(label, label)


@pytest.mark.parametrize("label", [" ", "\t\n", "\u00a0"])
def test_blank_label_is_unlabelled(label: str) -> None:
    assert classify(label) == LineItem(UNLABELLED, UNLABELLED)


def test_unknown_model_family_with_known_kind_is_a_model() -> None:
    item = classify("aurora-9, cached input")
    assert (item.category, item.subcategory, item.model) == ("aurora-9", "cached input", "aurora-9")


def test_hostile_label_is_classified_in_linear_time() -> None:
    for label in (
        "gpt-" + "a" * 50_000,
        "a" * 50_000 + ", ",
        ", " * 25_000,
        "| " * 25_000,
        "gpt-4o" + " text" * 10_000,
    ):
        assert classify(label).category


@pytest.mark.parametrize(
    ("label", "model", "kind"),
    [
        ("chat-latest , input", "chat-latest", "input"),
        (" gpt-5, input", "gpt-5", "input"),
        ("gpt-5, input ", "gpt-5", "input"),
        ("gpt-5,input", "gpt-5", "input"),
        ("gpt-5  ,   cached  input", "gpt-5", "cached input"),
        ("\tgpt-5,\u00a0output\n", "gpt-5", "output"),
        ("gpt-5-2025-08-07, Output", "gpt-5-2025-08-07", "output"),
        ("gpt-5-2025-08-07, Cached Input", "gpt-5-2025-08-07", "cached input"),
        ("gpt-5-2025-08-07, CACHE WRITES", "gpt-5-2025-08-07", "cache writes"),
        ("gpt-5, Input_Tokens", "gpt-5", "input"),
        ("gpt-live-1, Voice session", "gpt-live-1", "voice session"),
        ("tts hd", "tts-1-hd", None),
        ("TTS HD", "tts-1-hd", None),
        (" tts  hd ", "tts-1-hd", None),
        ("tts", "tts-1", None),
        ("tts-1-hd", "tts-1-hd", None),
        ("tts hd, Characters", "tts-1-hd", "characters"),
        ("Whisper", "whisper", None),
        ("whisper-1", "whisper", None),
    ],
)
def test_blanks_and_case_do_not_change_model_and_kind(label: str, model: str, kind: str | None) -> None:
    item = classify(label)
    assert (item.model, item.category, item.subcategory) == (model, model, kind)


def test_blanks_and_case_do_not_change_surface_modality_and_context() -> None:
    item = classify(" batch  |gpt-audio  Audio ,Output , Long  context ")
    assert item == LineItem("Chat completions", "gpt-audio", "output", "gpt-audio", "batch", "audio", long_context=True)


@pytest.mark.parametrize("label", ["gpt-5, " + "x" * 500, "a" * 6000 + ", output"])
def test_label_longer_than_a_key_is_not_parsed(label: str) -> None:
    assert classify(label) == LineItem(label, label)


def test_tts_hd_is_allocated_by_its_model() -> None:
    (counter,) = billed_counters(classify("tts hd"))
    assert counter.model == "tts-1-hd"
