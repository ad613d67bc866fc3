"""statsforecast's own virtual environment, made on demand: it must not bring its versions of anything into ours."""

from __future__ import annotations

from pathlib import Path

from benchmarks import own_environment

_OWN = own_environment.OwnEnvironment(Path(__file__).with_name(".venv-statsforecast"), ("statsforecast",))


def python() -> str | None:
    """Its interpreter, or None, with the reason said loudly, where it cannot be had."""
    return _OWN.python(without="FORECASTS ARE NOT MEASURED")


def version(interpreter: str) -> str:
    """Which release of statsforecast that is."""
    return own_environment.version(interpreter, "statsforecast")
