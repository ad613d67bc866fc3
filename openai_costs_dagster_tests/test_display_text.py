"""Tests that control characters are removed from text of the API, wherever this package shows or logs the text."""

from __future__ import annotations

import json
import logging
import unicodedata
from typing import Any

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.alerts.channels import webhook_body
from openai_costs_dagster.alerts.message import Message
from openai_costs_dagster.api.errors import UnexpectedSchema
from openai_costs_dagster.charts.svg import Bar, bars_svg
from openai_costs_dagster.cli.console import Column, progress_bar, show_table
from openai_costs_dagster.cli.logs import configure_logs
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.display_text import printable
from openai_costs_dagster.orchestration.check_results import evaluation
from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.redaction import redact
from openai_costs_dagster.spend.explanation import DisplayNames
from openai_costs_dagster.sync.outcome import Outcome

from .alerts.test_messages import stored

CLEAR_SCREEN, C1_CSI, OSC_LINK = "\x1b[2J\x1b[31m", "\x9b2J", "\x1b]8;;https://evil.example\x07"
OVERRIDE, ISOLATE, ZERO_WIDTH, TAG = "\u202egnp.exe", "\u2067x", "ad\u200bmin\ufeff", "\U000e0041"
FORGED_LINES = "\nERROR forged\r\x85forged\u2028forged\u2029forged\x0bforged"
HOSTILE = "".join((CLEAR_SCREEN, C1_CSI, OSC_LINK, OVERRIDE, ISOLATE, ZERO_WIDTH, TAG, FORGED_LINES, "\x00\x7f\b"))


def forbidden(text: str) -> set[str]:
    """Return the characters of a text, except line feeds, that control a terminal or change the order of the text."""
    return {
        character
        for character in text
        if unicodedata.category(character) in {"Cc", "Zl", "Zp", "Cs"} | ({"Cf"} if character != "\u200d" else set())
    } - {"\n"}


@given(st.text(alphabet=st.characters(codec=None), max_size=60), st.booleans())
def test_any_text_becomes_printable(text: str, lines: bool) -> None:
    shown = printable(f"{text}{HOSTILE}", lines=lines)
    assert not {character for character in forbidden(shown) if unicodedata.category(character) != "Cf"}
    assert len(shown.splitlines()) == 1 or lines
    assert printable(shown, lines=lines) == shown
    shown.encode()


@pytest.mark.parametrize(
    "name",
    [
        "Caf\u00e9 M\u00fcnchen",
        "\u05d7\u05d9\u05e4\u05d5\u05e9 2",
        "\u0628\u062d\u062b",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0e04\u0e49\u0e19\u0e2b\u0e32",
        "\u691c\u7d22 \uc11c\uc6b8",
        "\U0001f469\u200d\U0001f4bb\ufe0f \U0001f1e9\U0001f1ea",
        "\u0915\u094d\u200d\u0937",
    ],
)
def test_names_in_any_script_stay_readable(name: str) -> None:
    assert printable(name) == redact(name) == name


def test_invisible_characters_are_deleted_and_line_breaks_become_spaces() -> None:
    assert printable("a\u202eb\u200bc\x1b[2Jd\r\ne\u2028f") == "abc [2Jd e f"
    assert printable("a\r\nb\tc", lines=True) == "a \nb c"


def test_texts_of_the_api_are_printable_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    series = SeriesKey("project", project="p", model=HOSTILE)
    outcome = Outcome()
    outcome.fail([utc_now().date()], ValueError(HOSTILE))
    check = evaluation(
        dg.AssetKey("a"),
        "c",
        utc_now().date(),
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{HOSTILE}\nsecond",
    )
    message = Message("key", [stored(title=HOSTILE, message=HOSTILE, facts=[(HOSTILE, HOSTILE)])])
    show_table((Column("id"), Column("name")), [("1", HOSTILE)])
    with progress_bar("days", 1) as bar:
        bar.print_line(HOSTILE)
    texts = [
        str(UnexpectedSchema(HOSTILE)),
        redact(f"before {HOSTILE}"),
        DisplayNames(projects={"p": HOSTILE}).series(series),
        outcome.message,
        check.description or "",
        message.title,
        json.dumps(webhook_body(message, utc_now())["alerts"], ensure_ascii=False),
        bars_svg(HOSTILE, [Bar(utc_now().date(), 1.0)]),
    ]
    for text in texts:
        # Alert messages contain zero-width spaces on purpose: they keep chat services from applying markup.
        assert not forbidden(text.replace("\u200b", "")), text
    assert not forbidden(capsys.readouterr().out)


@pytest.fixture
def _unchanged_logging() -> Any:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


@pytest.mark.usefixtures("_unchanged_logging")
def test_log_lines_cannot_be_forged(capfd: pytest.CaptureFixture[str]) -> None:
    for log_format in ("text", "json"):
        configure_logs(log_format)
        logging.getLogger("openai_costs_dagster").warning("refused: %s", HOSTILE)
    text, _, document = capfd.readouterr().err.rstrip("\n").rpartition("\n")
    assert not forbidden(text)
    assert not [line for line in text.splitlines()[1:] if not line.startswith("    ")]
    assert json.loads(document)["event"] == f"refused: {HOSTILE}"
    assert document.isascii()
