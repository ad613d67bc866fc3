"""Tests that decision 33 lists all private names of Dagster that the code imports."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import openai_costs_dagster

ROOT = Path(openai_costs_dagster.__file__).parent
PAGE = ROOT.parent / "docs" / "decisions" / "0033-private-names-of-dagster.md"


def imported_private_names() -> set[str]:
    names = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagster._"):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names if alias.name.startswith("dagster._")}
    return names


def test_private_names_of_dagster_are_those_listed_in_the_decision() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`(dagster\._[\w.]+)`", row.split(" | ")[0])}
    assert imported_private_names() == documented
