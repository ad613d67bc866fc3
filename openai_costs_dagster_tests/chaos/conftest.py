"""A workplace for the tests that need no fresh one, an API, and a gate that holds an answer back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from openai_costs_dagster.simulator.queries import Query

from ..cli.program import Workplace, workplace
from ..conftest import ScriptedSimulator

_AT_MOST = 120  # seconds; a test that fails while the gate is closed ends all the same


@pytest.fixture
def fresh_place() -> Iterator[Workplace]:
    with workplace() as place:
        yield place


@pytest.fixture(scope="session")
def place() -> Iterator[Workplace]:
    """Shared: each test reads an organization of its own."""
    with workplace() as place:
        yield place


@pytest.fixture
def api() -> Iterator[ScriptedSimulator]:
    """An API without organizations, which the test brings."""
    simulator = ScriptedSimulator([])
    with simulator:
        yield simulator


class Gate:
    """Holds the first answer of a kind back until it is opened."""

    def __init__(self, simulator: ScriptedSimulator, holds: Callable[[Query], bool] = lambda _: True) -> None:
        self._holds = holds
        self._reached, self._opened = threading.Event(), threading.Event()
        simulator.script = self._pass

    def open(self) -> None:
        self._opened.set()

    @property
    def reached(self) -> bool:
        """Whether the request came whose answer is held back."""
        return self._reached.is_set()

    def _pass(self, query: Query) -> None:
        if not self._reached.is_set() and self._holds(query):
            self._reached.set()
            self._opened.wait(_AT_MOST)
