"""The virtual environment of statsforecast, whose dependencies would conflict with those of the project."""

from __future__ import annotations

from pathlib import Path

from benchmarks import own_environment

_OWN = own_environment.OwnEnvironment(Path(__file__).with_name(".venv-statsforecast"), ("statsforecast",))


def python() -> str | None:
    """Return the path of the interpreter, or None with a warning if the environment cannot be created."""
    return _OWN.python(without="skipped the forecasting models")


def version(interpreter: str) -> str:
    """Return the version of statsforecast."""
    return own_environment.version(interpreter, "statsforecast")
