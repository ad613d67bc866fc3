"""Fixtures of the chaos tests: working directories, a simulated API, and a gate that delays one response."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from openai_costs_dagster.simulator.queries import Query

from ..cli.program import Workplace, workplace
from ..conftest import ScriptedSimulator

_AT_MOST = 120  # Seconds: without a limit, a test that fails while the gate is closed would never end.


@pytest.fixture
def fresh_place() -> Iterator[Workplace]:
    with workplace() as place:
        yield place


@pytest.fixture(scope="session")
def place() -> Iterator[Workplace]:
    """A working directory that all tests of the session share. Each test must use its own organization."""
    with workplace() as place:
        yield place


@pytest.fixture
def api() -> Iterator[ScriptedSimulator]:
    """A simulated API without organizations. Each test adds its own organizations."""
    simulator = ScriptedSimulator([])
    with simulator:
        yield simulator


class Gate:
    """A gate that delays the response to the first matching request until `open()` is called."""

    def __init__(self, simulator: ScriptedSimulator, holds: Callable[[Query], bool] = lambda _: True) -> None:
        self._holds = holds
        self._reached, self._opened = threading.Event(), threading.Event()
        simulator.script = self._pass

    def open(self) -> None:
        self._opened.set()

    @property
    def reached(self) -> bool:
        """Whether the simulator has received the request whose response is delayed."""
        return self._reached.is_set()

    def _pass(self, query: Query) -> None:
        if not self._reached.is_set() and self._holds(query):
            self._reached.set()
            self._opened.wait(_AT_MOST)
