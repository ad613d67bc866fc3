"""Contract of docs/troubleshooting.md: it explains every error message that does not contain its own remedy."""

from __future__ import annotations

import re
from functools import cache

import pytest

from .messages import BLANK, ROOT, SourceMessage, all_messages, source_messages

PAGE = (ROOT.parent / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
_TOO_SHORT = 12  # Texts of up to 12 characters could be part of any message.
_NAME = re.compile("<[a-z ]+>")
MIN_WORDS = 3  # Shorter texts are fragments of longer messages.

MODULES_WITH_REMEDIES = {
    "configuration.settings": "the allowed values, with the file, the line and the invalid value",
    "configuration.secret": "the correct form of the reference",
    "component": "the attribute or function to use instead",
    "configuration.loading": "the file and its required content",
    "configuration.component_file": "which file to name, or what to write in which line",
    "configuration.yaml_document": "the line and its error",
    "cli.spend_csv": "the line of the CSV file and the expected value",
    "cli.backtest": "the CSV file, which is empty",
}
"""Modules whose messages need no row in the table, and the remedy that each message contains."""

EXEMPT_MESSAGES = {
    "Successfully connected to OpenAI API",
    f"there is no channel {BLANK}; configured: {BLANK}",
    f"there is no finding {BLANK}: openai-costs anomalies list --all lists all findings",
    "--reason must not be empty: it explains the decision to the next reader of the finding",
    f"--from {BLANK} is after --to {BLANK}: swap them",
    f"{BLANK} {BLANK} is in the future: the last possible day is today, {BLANK} in UTC",
    f"--month {BLANK} is in the future: today is {BLANK} in UTC",
    f"{BLANK} is not a month; write it as 2026-03",
    f"{BLANK} has an unknown suffix: use .csv or .parquet",
    f"{BLANK} exists and was not created by the demo: move or rename it",
    f"there is no user {BLANK}, neither by id nor by email address; ids begin with user-",
    f"there is no organization {BLANK}, neither configured nor stored",
    f"{BLANK} is not a date; write it as 2026-01-31",
    f"{BLANK} comes from OPENAI_ADMIN_KEY: unset it first",
    # Messages about success, and parts of messages that have a row.
    f"  What to do: {BLANK}",
    f"{BLANK} rows are stored.",
    "The rows add up to the total of the ungrouped request.",
    f"All days from {BLANK} to {BLANK} are stored.",
    "late days are stored",
    "days are late",
    "is retried by the next refresh",
    "needs a person",
    f"{BLANK}: {BLANK}: openai-costs alerts retry",
    "the server has no usage endpoints: completions, embeddings and images are missing",
}
"""Messages that contain their own remedy."""


@cache
def documented() -> list[str]:
    """Return the messages of the first column. A row may contain several messages.

    Names of variable parts, for example ``<organization>``, are replaced by blanks.
    """
    rows = re.findall(r"^\| (`.+?`) \| ", PAGE, re.MULTILINE)
    return [_NAME.sub(BLANK, message) for row in rows for message in re.findall(r"`([^`]+)`", row)]


def is_in(short: str, long: str) -> bool:
    """Return whether a message is part of another one. A blank matches any text."""
    fragments = [re.escape(fragment) for fragment in short.split(BLANK)]
    return bool(re.search(".*?".join(fragments), long))


def messages_to_document() -> list[SourceMessage]:
    def is_long_enough(text: str) -> bool:
        return len(re.findall(r"[A-Za-z]{2,}", text)) >= MIN_WORDS

    return [message for message in source_messages() if is_long_enough(message.text)]


def module_of(message: SourceMessage) -> str:
    return message.where.rpartition(".")[0]


def test_messages_are_found_in_the_source() -> None:
    found = {message.text for message in source_messages()}
    assert len(found) > 150
    assert {
        # The code raises this error through a variable that holds the class.
        f"PostgreSQL at {BLANK} cannot be used: {BLANK}",
        # The code passes this message through `redact`.
        f"the response does not have the documented format: {BLANK}",
        # The code logs this message as a warning.
        f"{BLANK}: names could not be read: {BLANK}",
        f"the file {BLANK} is empty",
        "Connection failed",
    } <= found


@pytest.mark.parametrize("message", messages_to_document(), ids=lambda message: f"{message.where}: {message.text}"[:90])
def test_message_is_documented_or_contains_its_remedy(message: SourceMessage) -> None:
    explained = any(is_in(row, message.text) or is_in(message.text.strip(), row) for row in documented())
    assert explained or message.text in EXEMPT_MESSAGES or module_of(message) in MODULES_WITH_REMEDIES


def test_every_documented_message_exists() -> None:
    messages = [text for text in all_messages() if len(text) > _TOO_SHORT]
    assert [row for row in documented() if not any(is_in(row, text) or is_in(text, row) for text in messages)] == []


def test_messages_exempt_from_the_table_exist() -> None:
    assert {message.text for message in source_messages()} >= EXEMPT_MESSAGES
    assert {module_of(message) for message in source_messages()} >= MODULES_WITH_REMEDIES.keys()


def test_every_row_has_a_meaning_and_a_remedy() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) > 50
    assert [row for row in rows if not re.fullmatch(r"\| (`[^`]+`(, )?)+ \| [^|]{4,} \| [^|]{4,} \|", row)] == []
