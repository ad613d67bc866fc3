"""Commands typed in this process where nothing is started, and a workplace with stored days for the others."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
import structlog

from openai_costs_dagster.cli import main
from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from .program import YESTERDAY, Finished, Workplace, days_ago, workplace


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


@dataclass(frozen=True)
class Loaded:
    """Two organizations whose days are stored, how the backfill that stored them went, and a third one to remove."""

    place: Workplace
    simulator: Simulator
    organizations: dict[str, SimulatedOrganization]
    backfill: Finished


HISTORY = 61  # days
VANISHING_HISTORY = 3


@pytest.fixture(scope="session")
def loaded() -> Iterator[Loaded]:
    """Shared by the tests of this folder: whoever changes what is stored does so to organizations of its own."""
    organizations = {
        "acme": SimulatedOrganization(api_keys_from=None, users_with_projects_served=True),
        "beta": SimulatedOrganization(organization_id="org-SIMULATEDBETA", admin_key="sk-admin-simulated-beta", seed=5),
    }
    organizations["acme"].plant_anomaly(YESTERDAY, 9)
    vanishing = SimulatedOrganization(organization_id="org-SIMULATEDLEAVES", admin_key="sk-admin-simulated-leaves")
    with Simulator([*organizations.values(), vanishing]) as simulator, workplace() as place:
        place.configure(
            simulator,
            {**organizations, "vanishing": vanishing},
            file="with_vanishing.yaml",
            start_date=days_ago(HISTORY - 1),
            start_dates={"vanishing": days_ago(VANISHING_HISTORY - 1)},
        )
        place.configure(simulator, organizations, start_date=days_ago(HISTORY - 1))
        yield Loaded(place, simulator, organizations, place.run("backfill", OPENAI_COSTS_CONFIG="with_vanishing.yaml"))
