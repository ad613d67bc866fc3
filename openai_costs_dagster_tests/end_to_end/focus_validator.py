"""The FinOps Foundation's focus-validator, in its own virtual environment, and its results for a file.

It needs Python 3.12, an old numpy and an old pyarrow; it finds its currency codes only from its own folder, and it ends
with 0 whatever it found. Its rules of FOCUS 1.2 come with it, so that it works without a network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.own_environment import OwnEnvironment, first_that_runs

_ROOT = Path(__file__).resolve().parents[2]
_REQUIREMENTS = ("focus-validator==2.2.1", "pyarrow<21")
_TOTALS = re.compile(r"^Total: (\d+) \| Pass: (\d+) \| Fail: (\d+) \| Skipped: (\d+)$", re.MULTILINE)
_RULE = re.compile(r"^\S+ (\S+): (PASS|FAIL|SKIPPED)\b", re.MULTILINE)
_PATIENCE = 240  # seconds

SUPPORTED = (
    "ACCOUNT_NAMING_SUPPORTED",
    "BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED",
    "NEGOTIATED_PRICING_SUPPORTED",
    "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "TAGGING_SUPPORTED",
    "UNIT_PRICING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
)
"""Features that FOCUS requires of a provider and OpenAI has. OpenAI's price list is public, but not in the API."""


@dataclass(frozen=True)
class Verdict:
    """The totals, and the rules that failed."""

    total: int
    passed: int
    failed: int
    skipped: int
    failures: frozenset[str]


def python() -> str | None:
    """The environment's interpreter, made on demand in `.venv-focus`; None where it cannot be had."""
    base = first_that_runs(_interpreters())
    if base is None:
        return None
    return OwnEnvironment(_ROOT / ".venv-focus", _REQUIREMENTS, base).python(without="FOCUS IS NOT VALIDATED")


def validate(interpreter: str, file: Path) -> Verdict:
    """What the validator says of a file against FOCUS 1.2, with the rules that came with it."""
    where = "import focus_validator, pathlib; print(pathlib.Path(focus_validator.__file__).parents[1])"
    packages = subprocess.run([interpreter, "-c", where], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
    command = [interpreter, "-m", "focus_validator.main", "--data-file", str(file), "--validate-version", "1.2"]
    options = ["--block-download", "--applicability-criteria", ",".join(SUPPORTED)]
    output = subprocess.run(  # noqa: S603
        [*command, *options], cwd=packages, capture_output=True, text=True, check=True, timeout=_PATIENCE
    ).stdout
    totals = _TOTALS.search(output)
    assert totals, output[-2000:]
    rules = dict(_RULE.findall(output))
    failures = frozenset(rule for rule, status in rules.items() if status == "FAIL")
    total, passed, failed, skipped = map(int, totals.groups())
    verdict = Verdict(total, passed, failed, skipped, failures)
    assert (len(rules), len(failures)) == (verdict.total, verdict.failed)
    return verdict


def _interpreters() -> list[str]:
    """Where Python 3.12 may be: ours, on the path, or among pyenv's."""
    ours = [sys.executable] if sys.version_info[:2] == (3, 12) else []
    found = shutil.which("python3.12")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return [*ours, *([found] if found else []), *map(str, sorted(pyenv.glob("3.12*/bin/python3.12"), reverse=True))]


if __name__ == "__main__":
    python()
