"""Extracts the messages that users can see from the source code. "…" replaces the variable parts."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openai_costs_dagster
from openai_costs_dagster.alerts import channels
from openai_costs_dagster.api import errors as api_errors
from openai_costs_dagster.report import focus_export, focus_files
from openai_costs_dagster.warehouse import errors as warehouse_errors

ROOT = Path(openai_costs_dagster.__file__).parent
BLANK = "…"
_PLACEHOLDER = re.compile("%[sd]")

_SHOWN_ERRORS = {"ConfigurationError", "InputMistake", "SecretUnavailable", "YamlError", "Failure", "BadParameter"}
SHOWN_ERRORS = _SHOWN_ERRORS | {
    name
    for module in (api_errors, warehouse_errors, channels, focus_export, focus_files)
    for name, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, Exception) and kind.__module__ == module.__name__
}
"""The names of exceptions whose text users see unchanged."""

# Pydantic wraps each ValueError of these modules in a ConfigurationError with the same text.
MODULES_WITH_VALUE_ERRORS = {"configuration.settings", "configuration.secret"}
MODULES_WITH_RUNTIME_ERRORS = {"cli.dagster_dev"}

FUNCTIONS_WITH_MESSAGES = {
    "api.connection_check": {"check_connection", "_explain", "admin_key_warning"},
    "cli.check": {"check", "_reject_duplicate", "_report"},
    "monitoring.status": {
        "_overview",
        "_key_problems",
        "_sync_problems",
        "_reconciliation_problems",
        "delivery_problems",
    },
    "sync.outcome": {"notes"},
    "orchestration.assets.costs": {"_results_of_stored_day"},
    "monitoring.late_days": {"_record_change"},
    "sync.usage": {"_skip_all_others"},
    "cli.backfill": {"convert"},
    "cli.export": {"convert"},
    "cli.remove": {"_still_configured"},
    "cli.scheduling": {"scheduling", "_uncovered_message", "_late_message", "_heartbeat_messages", "_dead_run_message"},
    "alerts.heartbeat": {"_request"},
    "orchestration.runtime.storage_session": {"storage_failure"},
    "warehouse.failures": {"of_connecting", "of_use"},
    "warehouse.lock": {"_acquired", "_renew"},
}
"""Functions that return or log messages about problems without raising an error, by module."""


@dataclass(frozen=True)
class SourceMessage:
    """A message and the function that creates it."""

    text: str
    where: str


def source_messages() -> list[SourceMessage]:
    """Return all messages, once for each function that creates them."""
    return [message for path in _modules() for message in _of(path)]


def all_messages() -> list[str]:
    """Return every text of the package, including the texts of the simulated API."""
    files = sorted(ROOT.rglob("*.py"))
    texts = [text for path in files for text in _texts(ast.parse(path.read_text(encoding="utf-8")))]
    return [_PLACEHOLDER.sub(BLANK, text) for text in texts] + [path.read_text("utf-8") for path in ROOT.rglob("*.sql")]


def _modules() -> Iterator[Path]:
    return (path for path in sorted(ROOT.rglob("*.py")) if "simulator" not in path.parts)


def _of(path: Path) -> Iterator[SourceMessage]:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    shown = set(SHOWN_ERRORS)
    shown |= {"ValueError"} if name in MODULES_WITH_VALUE_ERRORS else set()
    shown |= {"RuntimeError"} if name in MODULES_WITH_RUNTIME_ERRORS else set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        texts = {text for call in _calls(function, shown) for text in _first_texts(call, function)}
        logged = (text for call in _calls(function, {"warning"}) for text in _first_texts(call, function))
        texts |= {_PLACEHOLDER.sub(BLANK, text) for text in logged}
        if function.name in FUNCTIONS_WITH_MESSAGES.get(name, ()):
            texts |= {text for text in _texts(function) if " " in text.strip()}
        yield from (SourceMessage(text, f"{name}.{function.name}") for text in sorted(texts))


def _calls(function: ast.FunctionDef, shown: set[str]) -> Iterator[ast.Call]:
    """Yield the calls within `function` of the names in `shown`."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _name(node.func) in shown:
            yield node


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _first_texts(call: ast.Call, function: ast.FunctionDef) -> Iterator[str]:
    """Yield the possible texts of the first argument: its literals and the literals assigned to its variables."""
    for argument in call.args[:1]:
        names = {node.id for node in ast.walk(argument) if isinstance(node, ast.Name)}
        written = [argument] + [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and {_name(target) for target in node.targets} & names
        ]
        for expression in written:
            yield from (text for text in _texts(expression) if " " in text.strip(f" {BLANK}"))


def _texts(tree: ast.AST) -> Iterator[str]:
    """Yield all string literals below a node except docstrings, with a placeholder for each interpolated value."""
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else BLANK for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside | documentation:
            yield node.value
