"""Classifies line items of OpenAI's bill by service, category, subcategory and model, the dimensions of FinOps tools.

A line item is a text for people whose form OpenAI does not document. Labels so far are a bare name, or follow the
grammar ``[<surface or tier> " | "] <model> [" " <modality>] ", " <kind> [", long context"]``. The whole text of a label
with another form becomes its service and its category. Labels vary in blanks and in upper and lower case, so a label is
normalised before it is parsed. The database stores the original label.

To add a service, a tool or a kind of usage, extend `_SERVICE_OF_MODEL`, `_TOOLS` or `_KINDS`, and increase
`RULES_VERSION`. With a new version, stored line items are classified again without a request to OpenAI.
`spend/allocation/allocation_rules.py` determines by which usage counter the cost of a line item is allocated.
"""

from __future__ import annotations

import re

from openai_costs_dagster.cost_records import MAX_KEY_LENGTH
from openai_costs_dagster.records import LineItem

RULES_VERSION = 2
"""The version of the classification rules. Stored classifications with an older version are computed again."""

CHAT = "Chat completions"
UNLABELLED = "Unlabelled"

_LABEL = re.compile(
    r"^(?:(?P<surface>[^|,]+?) \| )?"
    r"(?P<model>[A-Za-z0-9][\w.:/@-]*)"
    r"(?: (?P<modality>(?i:text|audio|image|video)))?"
    r", (?P<kind>[^,]+?)"
    r"(?P<long_context>, (?i:long context))?$"
)
_MODEL_FAMILY = re.compile(
    r"^(gpt|o\d|chat|chatgpt|text|tts|whisper|dall-e|sora|codex|computer-use|davinci|babbage|curie|ada|omni)([-.\d]|$)"
)
_MODEL_NAME = re.compile(r"[A-Za-z0-9][\w.:/@-]*")
_SEPARATOR = re.compile(r" ?([,|]) ?")
_NAMED_OTHERWISE = {
    "tts": "tts-1",
    "tts hd": "tts-1-hd",
    "tts-hd": "tts-1-hd",
    "whisper": "whisper",
    "whisper-1": "whisper",
}
"""The ids of models that labels also call by other names. The keys are these names in lower case."""
_FINE_TUNED = re.compile(r"^ft[:-]")

_SERVICE_OF_MODEL = (
    (re.compile(r"^text-(embedding|similarity|search)"), "Embeddings"),
    (re.compile(r"moderation"), "Moderations"),
    (re.compile(r"^(gpt-image|chatgpt-image|dall-e)"), "Images"),
    (re.compile(r"^sora"), "Videos"),
    (re.compile(r"transcribe|^whisper"), "Audio transcriptions"),
    (re.compile(r"^tts|-tts\b"), "Audio speeches"),
    (re.compile(r"realtime|^gpt-live"), "Realtime"),
)
_TOOLS = (
    (re.compile(r"web search", re.IGNORECASE), "Web search"),
    (re.compile(r"file search", re.IGNORECASE), "File search"),
    (re.compile(r"code interpreter", re.IGNORECASE), "Code interpreter"),
    (re.compile(r"vector stor", re.IGNORECASE), "Vector stores"),
    (re.compile(r"credit|discount|refund|adjustment", re.IGNORECASE), "Credits"),
)
_KINDS = {
    "input": "input",
    "input tokens": "input",
    "cached input": "cached input",
    "cached input tokens": "cached input",
    "input cached tokens": "cached input",
    "output": "output",
    "output tokens": "output",
    "cache writes": "cache writes",
}


def classify(label: str | None) -> LineItem:
    """Classify the label of a line item. None and blank text return `UNLABELLED`.

    A label of more than `MAX_KEY_LENGTH` characters is not parsed, and its whole text becomes the service and the
    category.
    """
    if label is None or not label.strip():
        return LineItem(UNLABELLED, UNLABELLED)
    if len(label) > MAX_KEY_LENGTH:
        return LineItem(label, label)
    text = _normalised(label)
    parsed = _LABEL.match(text)
    if parsed and _is_model(parsed["model"]):
        return _model_item(parsed)
    surface, _, name = text.rpartition(" | ")
    if _is_model(name) and " " not in name:
        return LineItem(_service_of(name), name, model=name, surface=surface or None)
    for pattern, tool in _TOOLS:
        if pattern.search(text):
            return LineItem(tool, tool, surface=surface or None)
    # An unknown name with a known kind of token is treated as a new model, so that new models need no new rule.
    if parsed and _kind(parsed["kind"]) in _KINDS:
        return _model_item(parsed)
    return LineItem(label, label)


def _normalised(label: str) -> str:
    """Return the label with single blanks, uniform separators, and the id of the model in place of its other names."""
    text = _SEPARATOR.sub(lambda found: ", " if found[1] == "," else " | ", " ".join(label.split()))
    before, bar, rest = text.rpartition(" | ")
    name, comma, kind = rest.partition(", ")
    return f"{before}{bar}{_NAMED_OTHERWISE.get(name.lower(), name)}{comma}{kind}"


def _model_item(parsed: re.Match[str]) -> LineItem:
    model, kind = parsed["model"], _kind(parsed["kind"])
    return LineItem(
        service=_service_of(model),
        category=model,
        subcategory=_KINDS.get(kind, kind),
        model=model,
        surface=parsed["surface"],
        modality=parsed["modality"] and parsed["modality"].lower(),
        long_context=parsed["long_context"] is not None,
    )


def _kind(text: str) -> str:
    return text.strip().replace("_", " ").lower()


def _is_model(name: str) -> bool:
    return bool(_MODEL_NAME.fullmatch(name) and _MODEL_FAMILY.match(_FINE_TUNED.sub("", name)))


def _service_of(model: str) -> str:
    base = _FINE_TUNED.sub("", model)
    return next((service for pattern, service in _SERVICE_OF_MODEL if pattern.search(base)), CHAT)
