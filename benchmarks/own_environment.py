"""A virtual environment of its own for a program that must not bring its versions of anything into ours.

Made on demand, once: what was installed is noted in the folder, and other requirements make it anew.
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
    """A folder `.venv-...`, what is installed there, and by which interpreter where ours will not do."""

    folder: Path
    requirements: tuple[str, ...]
    base: str | None = None
    beside_ours: bool = False
    """Whether what is installed beside this program is there as well."""

    @property
    def interpreter(self) -> Path:
        """The environment's own, whether it is there or not."""
        return self.folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    def python(self, without: str) -> str | None:
        """Its interpreter; where it cannot be had, None, and `without` and the reason said loudly."""
        installed = self.folder / "installed"
        wanted = "\n".join(self.requirements)
        if installed.exists() and installed.read_text(encoding="utf-8") in {"", wanted}:
            return str(self.interpreter)
        print(f"installing {' '.join(self.requirements)} into {self.folder.name}", file=sys.stderr)
        try:
            self._make()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"\n*** {without}: {' '.join(self.requirements)} cannot be installed: {error}\n", file=sys.stderr)
            return None
        installed.write_text(wanted, encoding="utf-8")
        return str(self.interpreter)

    def _make(self) -> None:
        if self.base is None:
            venv.create(self.folder, clear=True, with_pip=True)
        else:
            subprocess.run([self.base, "-m", "venv", "--clear", str(self.folder)], check=True)
        (self.folder / ".gitignore").write_text("*\n", encoding="utf-8")
        if self.beside_ours:
            self._see_ours()
        pip = [str(self.interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *self.requirements], check=True)

    def _see_ours(self) -> None:
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        said = subprocess.run([str(self.interpreter), "-c", ask], check=True, capture_output=True, text=True).stdout
        line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        Path(said.strip(), "ours.pth").write_text(line, encoding="utf-8")


def version(interpreter: str, package: str) -> str:
    """Which release of a package an environment has."""
    code = f"import importlib.metadata as metadata; print(metadata.version({package!r}))"
    return subprocess.run([interpreter, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def first_that_runs(candidates: Sequence[str]) -> str | None:
    """The first of some interpreters that is really there and can make environments."""
    for candidate in candidates:
        try:
            subprocess.run([candidate, "-c", "import ensurepip, venv"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    return None
