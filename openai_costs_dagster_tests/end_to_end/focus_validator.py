"""Runs the focus-validator of the FinOps Foundation in its own virtual environment.

The validator needs Python 3.12 and old releases of numpy and pyarrow. It finds its currency codes only if it runs in
its own folder, and it always exits with 0. It contains the rules of FOCUS 1.2, so it works without a network.
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
_TIMEOUT_S = 240

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
"""Features of FOCUS that OpenAI supports. The public price list is omitted, because the API does not return it."""


@dataclass(frozen=True)
class Verdict:
    """The number of rules by result, and the rules that failed."""

    total: int
    passed: int
    failed: int
    skipped: int
    failures: frozenset[str]


def python() -> str | None:
    """Return the interpreter of `.venv-focus`, which is created on demand, or None if it cannot be created."""
    base = first_that_runs(_interpreters())
    if base is None:
        return None
    return OwnEnvironment(_ROOT / ".venv-focus", _REQUIREMENTS, base).python(without="FOCUS IS NOT VALIDATED")


def validate(interpreter: str, file: Path) -> Verdict:
    """Validate a file against the rules of FOCUS 1.2 that the validator contains."""
    where = "import focus_validator, pathlib; print(pathlib.Path(focus_validator.__file__).parents[1])"
    packages = subprocess.run([interpreter, "-c", where], check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
    command = [interpreter, "-m", "focus_validator.main", "--data-file", str(file), "--validate-version", "1.2"]
    options = ["--block-download", "--applicability-criteria", ",".join(SUPPORTED)]
    output = subprocess.run(  # noqa: S603
        [*command, *options], cwd=packages, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S
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
    """Return possible Python 3.12 interpreters: the current one, the one on the path and those of pyenv."""
    ours = [sys.executable] if sys.version_info[:2] == (3, 12) else []
    found = shutil.which("python3.12")
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return [*ours, *([found] if found else []), *map(str, sorted(pyenv.glob("3.12*/bin/python3.12"), reverse=True))]


if __name__ == "__main__":
    python()
