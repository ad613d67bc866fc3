"""Commands typed in this process where nothing is started, and a workplace with stored days for the others."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
import structlog

from openai_costs_dagster.cli import main

from .program import Finished, Workplace, workplace


class Type(Protocol):
    def __call__(self, *command: str, **environment: str) -> Finished: ...


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Type]:
    """Calls the program's entry point in `tmp_path`, for commands that start no process and end at once."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.chdir(tmp_path)

    def typed(*command: str, **environment: str) -> Finished:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["openai-costs", *command])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return Finished(code, *capsys.readouterr())

    yield typed
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    for number, handler in signals.items():
        signal.signal(number, handler)


@pytest.fixture
def place() -> Iterator[Workplace]:
    """A folder in which nothing ever ran."""
    with workplace() as place:
        yield place
