"""A virtual environment with Dagster's `dg` and `create-dagster` and with this project.

The environment is created on demand in `.venv-dg`, because both programs require two dozen packages that no other test
needs.
"""

from __future__ import annotations

from pathlib import Path

import dagster

from benchmarks.own_environment import OwnEnvironment

_ROOT = Path(__file__).resolve().parents[2]
_REQUIREMENTS = (f"create-dagster=={dagster.__version__}", f"dagster-dg-cli=={dagster.__version__}")


def programs() -> Path | None:
    """Return the folder of both programs, or None if they cannot be installed."""
    environment = OwnEnvironment(_ROOT / ".venv-dg", _REQUIREMENTS, with_current_packages=True)
    interpreter = environment.python(without="A PROJECT OF ONE'S OWN IS NOT TRIED")
    return Path(interpreter).parent if interpreter else None
