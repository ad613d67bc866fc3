"""statsforecast's own virtual environment, made on demand: it must not bring its versions of anything into ours."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

_FOLDER = Path(__file__).with_name(".venv-statsforecast")
_REQUIREMENT = "statsforecast"


def python() -> str | None:
    """Its interpreter, or None, with the reason said loudly, where it cannot be had."""
    interpreter = _FOLDER / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    installed = _FOLDER / "installed"
    if installed.exists():
        return str(interpreter)
    print(f"installing {_REQUIREMENT} into {_FOLDER.name}", file=sys.stderr)
    try:
        venv.create(_FOLDER, clear=True, with_pip=True)
        (_FOLDER / ".gitignore").write_text("*\n", encoding="utf-8")
        pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", _REQUIREMENT]
        subprocess.run(pip, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"\n*** FORECASTS ARE NOT MEASURED: {_REQUIREMENT} cannot be installed: {error}\n", file=sys.stderr)
        return None
    installed.touch()
    return str(interpreter)


def version(interpreter: str) -> str:
    """Which release of statsforecast that is."""
    code = f"import importlib.metadata as metadata; print(metadata.version({_REQUIREMENT!r}))"
    return subprocess.run([interpreter, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
