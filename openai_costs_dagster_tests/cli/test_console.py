"""Tests of the output of commands: amounts, dates and ids stay on one line, and a file contains no colors."""

from __future__ import annotations

import datetime as dt
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from openai_costs_dagster.cli.console import Column, print_line, show_table
from openai_costs_dagster.cli.status import print_overviews
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.monitoring.status import Overview
from openai_costs_dagster.warehouse.budgets import BudgetState
from openai_costs_dagster.warehouse.coverage import GroupedDays

from .program import PROGRAM

_DAY = dt.date(2026, 3, 10)
_WIDTHS = (200, 120, 80, 60, 40)
_UNBREAKABLE = re.compile(
    r"-?\$[\d,]+\.\d\d|[\d,]+\.\d\d [A-Z]{3}\b|\d{4}-\d\d-\d\d(?: \d\d:\d\d)?|[\d.]+ %|proj_\w+|[\w-]+-europe"
)
_NAMES = (
    "acme",
    "research-and-development-of-the-north-europe",
    "\u682a\u5f0f\u4f1a\u793e\u7814\u7a76\u90e8\u9580 \u6771\u4eac",
)


def _overview(name: str, amount: Decimal) -> Overview:
    budget = BudgetState(
        budget="organization, month",
        scope="organization",
        scope_id=None,
        amount_limit=amount * 2,
        period_start=dt.date(2026, 3, 1),
        period_end=dt.date(2026, 3, 31),
        spent=amount,
        forecast=amount * 3,
        forecast_low=amount * 2,
        forecast_high=amount * 4,
        complete_to=_DAY,
    )
    return Overview(
        name,
        name,
        last_day=_DAY,
        last_settled_day=dt.date(2026, 3, 8),
        missing_ranges=[DayRange(dt.date(2025, 3, 1), dt.date(2025, 12, 31))],
        groupings=[GroupedDays("project,user,line_item,api_key", dt.date(2025, 3, 1), _DAY)],
        month_to_date=amount,
        month_to_date_other_currencies={"JPY": amount * 100, "EUR": amount, None: Decimal(5)},
        other_currencies={"JPY": amount * 100},
        other_currencies_since=dt.date(2026, 2, 9),
        forecast=amount * 3,
        allocated_to_users_percent=91.2,
        allocated_to_keys_percent=100.0,
        budgets=[budget],
        required_actions=[f"{name}: days are missing: 2025-03-01..2025-12-31 in proj_abcdefghijklmnop0123456789"],
    )


def _show_everything(amount: Decimal) -> None:
    print_overviews([_overview(name, amount) for name in _NAMES])
    show_table(
        (Column("time (UTC)"), Column("organization"), Column("impact", right=True), Column("message", wraps=True)),
        [("2026-03-11 14:30", name, f"${amount:,.2f}", f"{amount:,.2f} JPY (34 %) more [red]") for name in _NAMES],
    )


def _printed(capsys: pytest.CaptureFixture[str], width: int, amount: Decimal) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        _show_everything(amount)
    return capsys.readouterr().out


@pytest.mark.parametrize("amount", [Decimal("7.5"), Decimal("1234.56"), Decimal("12345678901.23")])
def test_every_width_shows_the_same_amounts_unbroken(capsys: pytest.CaptureFixture[str], amount: Decimal) -> None:
    wide = set(_UNBREAKABLE.findall(_printed(capsys, 200, amount)))
    assert f"${amount:,.2f}" in wide
    for width in _WIDTHS:
        text = _printed(capsys, width, amount)
        assert wide - set(_UNBREAKABLE.findall(text)) <= {"91.2 %", "100.0 %", "2026-03-08", "2025-03-01"}
        assert all(cell_len(line) <= width or len(line.split()) == 1 for line in text.splitlines())
        assert "[red]" in text
        assert "\u2026" not in text


def test_table_at_80_columns_names_the_omitted_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    print_overviews([replace(_overview("acme", Decimal("1234.56")), month_to_date_other_currencies={})])
    out = capsys.readouterr().out
    (row,) = [line for line in out.splitlines() if line.startswith(" acme ")]
    assert row.split() == ["acme", "2026-03-10", "$1,234.56", "$3,703.68", "0", "306", "2026-03-08"]
    assert "Not shown in 80 columns: allocated to users, allocated to keys, grouping" in out.splitlines()


def test_blocks_at_40_columns_contain_every_column(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_overviews([_overview("acme", Decimal("1234.56"))])
    out = capsys.readouterr().out
    assert out.startswith("organization: acme\n  last day                  2026-03-10\n")
    for value in ("$1,234.56", "123,456.00 JPY", "2026-03-08", "91.2 %", "project,user,line_item,api_key"):
        assert value in out


@given(
    st.lists(st.text(alphabet="ab-_[]\u682a ", min_size=1, max_size=60), min_size=1, max_size=4),
    st.integers(20, 200),
)
def test_no_word_of_a_line_or_cell_is_lost(texts: list[str], width: int) -> None:
    reader, writer = os.pipe()
    with (
        pytest.MonkeyPatch.context() as patch,
        open(writer, "w", encoding="utf-8") as file,  # noqa: PTH123  # a file descriptor
        open(reader, encoding="utf-8") as result,  # noqa: PTH123
    ):
        patch.setenv("COLUMNS", str(width))
        patch.setattr(sys, "stdout", file)
        show_table((Column("id"), Column("text", wraps=True)), [("x1", text) for text in texts])
        for text in texts:
            print_line(text)
        file.close()
        printed = result.read().split()
    for text in texts:
        for word in text.split():
            assert printed.count(word) >= 2


_SCRIPT = """
from openai_costs_dagster.cli.console import Column, progress_bar, show_table
from openai_costs_dagster.cli.logs import configure_logs
import logging
configure_logs("text")
show_table((Column("organization"), Column("spend", right=True)), [("acme", "$1,234.56")])
with progress_bar("backfill", 10) as progress:
    progress.advance(10)
try: 1 / 0
except ZeroDivisionError: logging.getLogger("x").exception("failed")
"""


def test_files_never_get_escape_sequences(tmp_path: Path) -> None:
    insisting = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "CLICOLOR_FORCE": "1", "TERM": "xterm"}
    file = tmp_path / "out"
    with file.open("w") as out:
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", _SCRIPT], stdout=out, stderr=out, check=True, env={**os.environ, **insisting}
        )
    text = file.read_text()
    assert "$1,234.56" in text
    assert "ZeroDivisionError" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("environment", "is_styled"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_terminal_output_is_styled_unless_disabled(environment: dict[str, str], is_styled: bool) -> None:
    code = _SCRIPT.partition("with progress_bar")[0]
    unset = {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}
    clean = {name: value for name, value in os.environ.items() if name not in unset}
    controller, terminal = pty.openpty()
    try:
        subprocess.run(  # noqa: S603
            [sys.executable, "-c", code], stdout=terminal, stderr=terminal, check=True, env={**clean, **environment}
        )
        printed = os.read(controller, 65536).decode()
    finally:
        os.close(controller)
        os.close(terminal)
    assert "$1,234.56" in printed
    assert ("\x1b" in printed) == is_styled


def test_full_disk_is_reported_and_a_closed_pipe_is_not() -> None:
    with Path("/dev/full").open("w") as full:
        full_disk = subprocess.run([PROGRAM, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    assert full_disk.returncode == 2
    assert full_disk.stderr == (
        "openai-costs: the output cannot be written: the disk is full: free some space, then run the command again\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        no_reader = subprocess.run([PROGRAM, "--help"], stdout=broken, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    assert (no_reader.returncode, no_reader.stderr) == (1, "")
