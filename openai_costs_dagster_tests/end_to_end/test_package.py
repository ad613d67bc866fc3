"""Tests of the wheel, which must contain all data files that the program reads."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import openai_costs_dagster

PACKAGE = Path(openai_costs_dagster.__file__).parent
PYPROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
PATTERNS = PYPROJECT["tool"]["setuptools"]["package-data"]["openai_costs_dagster"]


def packaged(path: PurePosixPath) -> bool:
    """Return whether a package data pattern matches a path. `**` matches any number of folders."""
    return any(path.match(pattern) or path.match(pattern.removeprefix("**/")) for pattern in PATTERNS)


def data() -> list[PurePosixPath]:
    """Return all data files of the package: neither Python code nor hidden files of tools."""
    found = [PurePosixPath(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*") if path.is_file()]
    return [
        path for path in found if path.suffix not in {".py", ".pyc"} and not any(part[0] == "." for part in path.parts)
    ]


def test_every_file_beside_the_code_is_packaged() -> None:
    assert [path for path in data() if not packaged(path)] == []


def test_data_files_of_the_program_exist() -> None:
    names = {path.name for path in data()}
    assert names >= {"insert_rows.sql", "010_daily_costs.sql", "dagster.yaml", "script.py.mako", "py.typed"}


def test_every_folder_of_code_is_a_package_that_setuptools_finds() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert len(folders) > 8
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
    assert PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"] == [
        "openai_costs_dagster",
        "openai_costs_dagster.*",
    ]


def test_packaged_files_are_readable_as_resources() -> None:
    root: Traversable = resources.files("openai_costs_dagster")
    for path in data():
        assert root.joinpath(*path.parts).is_file()
    assert "run_storage:" in root.joinpath("orchestration", "runtime", "dagster.yaml").read_text("utf-8")


def test_metadata_has_author_keywords_and_consistent_classifiers() -> None:
    project = PYPROJECT["project"]
    assert [author["name"] for author in project["authors"]] == ["The authors of openai-costs-dagster"]
    assert {"openai", "costs", "dagster", "finops"} <= set(project["keywords"])
    assert (project["license"], project["readme"]) == ("Apache-2.0", "README.md")
    classifiers = project["classifiers"]
    assert len(set(classifiers)) == len(classifiers)
    prefix = "Programming Language :: Python :: 3."
    named = {int(classifier.removeprefix(prefix)) for classifier in classifiers if classifier.startswith(prefix)}
    first, last = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"]).groups()  # type: ignore[union-attr]
    assert named == set(range(int(first), int(last)))
    assert "Typing :: Typed" in classifiers
    assert not [classifier for classifier in classifiers if classifier.startswith("License ::")]
