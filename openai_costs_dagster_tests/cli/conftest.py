"""Fixtures of the command line tests: commands inside the test process, and a working directory for real processes."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
import structlog

from openai_costs_dagster.cli import main

from .program import Finished, Workplace, workplace


class RunCommand(Protocol):
    def __call__(self, *command: str, **environment: str) -> Finished: ...


@pytest.fixture
def run_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[RunCommand]:
    """Return a function that runs a command inside the test process, with `tmp_path` as the working directory.

    Use it only for commands that start no other process. Afterwards, logging, signal handlers and the umask are
    restored.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.chdir(tmp_path)
    umask = os.umask(0o022)
    os.umask(umask)

    def run(*command: str, **environment: str) -> Finished:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["openai-costs", *command])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        assert isinstance(code, int)
        return Finished(code, *capsys.readouterr())

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    for number, handler in signals.items():
        signal.signal(number, handler)
    os.umask(umask)


@pytest.fixture
def place() -> Iterator[Workplace]:
    """A new working directory, in which no command has run."""
    with workplace() as place:
        yield place
