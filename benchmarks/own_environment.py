"""Separate virtual environments for programs whose dependencies conflict with the dependencies of the project.

An environment is created on first use, and again after its requirements have changed.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OwnEnvironment:
    """A virtual environment: its folder, its requirements and its base interpreter, if it is not the current one."""

    folder: Path
    requirements: tuple[str, ...]
    base: str | None = None
    with_current_packages: bool = False
    """Whether programs of the environment can also import the packages of the current environment."""

    @property
    def interpreter(self) -> Path:
        """The path of the environment's interpreter, which may not exist yet."""
        return self.folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    def python(self, without: str) -> str | None:
        """Create the environment if necessary and return the path of its interpreter.

        If the environment cannot be created, print a warning that begins with `without` and return None.
        """
        installed = self.folder / "installed"
        wanted = "\n".join(self.requirements)
        if installed.exists() and installed.read_text(encoding="utf-8") in {"", wanted}:
            return str(self.interpreter)
        print(f"installing {' '.join(self.requirements)} into {self.folder.name}", file=sys.stderr)
        try:
            self._make()
        except (OSError, subprocess.CalledProcessError) as error:
            print(
                f"\nWarning: {without}; {' '.join(self.requirements)} cannot be installed: {error}\n", file=sys.stderr
            )
            return None
        installed.write_text(wanted, encoding="utf-8")
        return str(self.interpreter)

    def _make(self) -> None:
        if self.base is None:
            venv.create(self.folder, clear=True, with_pip=True)
        else:
            subprocess.run([self.base, "-m", "venv", "--clear", str(self.folder)], check=True)
        (self.folder / ".gitignore").write_text("*\n", encoding="utf-8")
        if self.with_current_packages:
            self._add_current_packages()
        pip = [str(self.interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *self.requirements], check=True)

    def _add_current_packages(self) -> None:
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        result = subprocess.run([str(self.interpreter), "-c", code], check=True, capture_output=True, text=True).stdout
        line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        Path(result.strip(), "ours.pth").write_text(line, encoding="utf-8")


def version(interpreter: str, package: str) -> str:
    """Return the version of a package in an environment."""
    code = f"import importlib.metadata as metadata; print(metadata.version({package!r}))"
    return subprocess.run([interpreter, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def first_that_runs(candidates: Sequence[str]) -> str | None:
    """Return the first interpreter that exists and can create environments, or None."""
    for candidate in candidates:
        try:
            subprocess.run([candidate, "-c", "import ensurepip, venv"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    return None
