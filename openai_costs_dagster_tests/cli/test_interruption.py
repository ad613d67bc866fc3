"""Tests of the message that a command prints after Ctrl-C."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from openai_costs_dagster import cli
from openai_costs_dagster.cli import backfill, session


def _interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *command: str) -> str:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["openai-costs", *command])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 130
    return capsys.readouterr().err.strip()


def _raise(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", sorted(set(cli.cli.commands) - {"backfill"}))
def test_interrupted_command_reports_only_the_interruption(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setattr(cli.cli.commands[name], "make_context", _raise)
    assert _interrupted(monkeypatch, capsys, name) == "interrupted"


def test_interrupted_backfill_keeps_its_windows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("openai_costs_dagster.configuration.load", lambda: None)
    monkeypatch.setattr(session, "open_session", lambda _: Mock())
    monkeypatch.setattr(session, "selected_organizations", lambda _, names: names)
    monkeypatch.setattr(backfill, "run_backfill", _raise)
    assert _interrupted(monkeypatch, capsys, "backfill") == "interrupted; days that were already stored remain"
