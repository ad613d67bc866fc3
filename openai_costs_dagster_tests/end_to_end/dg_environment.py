"""Dagster's public `dg` and `create-dagster` in an environment of their own, in which this program is installed too.

They bring two dozen packages that nothing here needs; made on demand in `.venv-dg`.
"""

from __future__ import annotations

from pathlib import Path

import dagster

from benchmarks.own_environment import OwnEnvironment

_ROOT = Path(__file__).resolve().parents[2]
_REQUIREMENTS = (f"create-dagster=={dagster.__version__}", f"dagster-dg-cli=={dagster.__version__}")


def programs() -> Path | None:
    """The folder of the two programs; None where they cannot be had."""
    environment = OwnEnvironment(_ROOT / ".venv-dg", _REQUIREMENTS, beside_ours=True)
    interpreter = environment.python(without="A PROJECT OF ONE'S OWN IS NOT TRIED")
    return Path(interpreter).parent if interpreter else None
