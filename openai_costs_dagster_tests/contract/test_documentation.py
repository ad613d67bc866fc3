"""Contract of the documentation: commands, settings, views, tables and modules are documented, and links work."""

from __future__ import annotations

import re
import subprocess
import types
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy
from pydantic import BaseModel

from openai_costs_dagster.cli import cli
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.configuration.settings import Retention
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.schema import metadata

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
NOT_WRITTEN_IN_THE_FILE = {(Configuration, "source"), (Organization, "name")}


@cache
def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def words(text: str) -> set[str]:
    """Return all identifiers in inline code. A dotted name counts as several identifiers."""
    marked = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return {word for code in marked for word in re.findall(r"[A-Za-z0-9_]+", code)}


# The command line


def usage(command: str) -> str:
    """Return the row of a command in the table of docs/command-line.md."""
    found = re.search(rf"^\| `{re.escape(command)}[` ].*$", page("command-line.md"), re.MULTILINE)
    assert found, f"{command} is no row of docs/command-line.md"
    return found.group()


def options() -> Iterator[tuple[str, str]]:
    for name, command in cli.commands.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield from ((name, option) for option in parameter.opts)


@pytest.mark.parametrize("command", list(cli.commands))
def test_every_command_is_documented_and_has_a_help_line(command: str) -> None:
    assert usage(command)
    assert cli.commands[command].get_short_help_str(limit=200)


@pytest.mark.parametrize(("command", "option"), list(options()))
def test_every_option_is_documented(command: str, option: str) -> None:
    assert option in usage(command)


def test_options_of_all_commands_are_documented() -> None:
    shown = [option for parameter in cli.params for option in parameter.opts if option.startswith("--")]
    assert "--log-format" in shown
    assert [option for option in shown if option not in page("command-line.md") and option != "--version"] == []


def test_every_documented_command_exists() -> None:
    commands, _, _ = page("command-line.md").partition("\n## ")  # The later sections list JSON keys, not options.
    rows = re.findall(r"^\| `([a-z-]+)", commands, re.MULTILINE)
    assert set(rows) == set(cli.commands)


# The configuration


def settings(model: type[BaseModel] = Configuration, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the dotted path of every setting, for example "refresh.cron"."""
    for name, field in model.model_fields.items():
        if (model, name) in NOT_WRITTEN_IN_THE_FILE:
            continue
        yield ".".join((*path, name))
        for inner in models(field.annotation):
            yield from settings(inner, (*path, name))


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, BaseModel) and annotation is not SecretReference:
            yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from models(argument)


@pytest.mark.parametrize("setting", list(settings()))
def test_every_setting_is_documented(setting: str) -> None:
    assert words(page("configuration.md")) >= set(setting.split("."))


def test_nested_settings_are_found() -> None:
    assert set(settings()) >= {"organizations.budgets.amount_usd", "refresh.cron", "alerts.events", "database.url"}


@pytest.mark.parametrize("way", ["env", "file"])
def test_every_source_of_secrets_is_documented(way: str) -> None:
    assert f"{{{way}: " in page("configuration.md")


# SQL


def test_every_view_and_column_is_documented(connection: Connection) -> None:
    columns = connection.execute(
        """
        select column_info.table_name, column_info.column_name
        from information_schema.columns as column_info
        join information_schema.views using (table_schema, table_name)
        where column_info.table_schema = 'openai_costs'
        """
    ).fetchall()
    assert len(columns) > 30
    sections = dict(re.findall(r"^## `(\w+)`(.*?)(?=^## |\Z)", page("sql.md"), re.MULTILINE | re.DOTALL))
    assert {view for view, _ in columns} == set(sections)
    assert [(view, column) for view, column in columns if column not in words(sections[view])] == []


# Retention


@pytest.mark.parametrize("table", list(metadata.tables.values()), ids=lambda table: table.name)
def test_retention_of_every_table_is_documented(table: sqlalchemy.Table) -> None:
    assert re.search(rf"^\|.*\|.*`{table.name}`.*\|.+\|$", page("retention.md"), re.MULTILINE)


def test_every_retention_setting_is_documented() -> None:
    for name in Retention.model_fields:
        assert name in page("retention.md")


# Pages and files


def tracked() -> list[Path]:
    """Return the tracked files and the new files that Git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def links(document: Path) -> Iterator[Path]:
    """Yield the paths that a page links to within this repository."""
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            yield (document.parent / target).resolve()


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        document = waiting.pop()
        if document.is_dir():
            waiting += document.glob("*.md")
        elif document not in reached:
            reached.add(document)
            waiting += links(document) if document.suffix == ".md" and document.exists() else []
    assert [path for path in DOCS.rglob("*") if path.is_file() and path not in reached] == []


def test_every_link_has_an_existing_target() -> None:
    documents = [path for path in tracked() if path.suffix == ".md"]
    broken = [(path.name, str(target)) for path in documents for target in links(path) if not target.exists()]
    assert broken == []


def test_no_file_names_the_machine_of_its_author() -> None:
    telling = re.compile(
        r"/(?:home|Users)/\w+/|/root/\.|(?<![\w.])/(?:work|opt|mnt|srv)/|/tmp/\w+/|\bpip\.conf\b|index-url|artifactory|\bnexus\b"
        r"|https?://(?:pypi|packages|registry|mirror)[\w.-]*(?:internal|corp|local)\b",
        re.IGNORECASE,
    )
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in tracked()
        if path != Path(__file__) and path.suffix not in {".png", ".json", ".gz"}
        for match in telling.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


# The source layout


def packages() -> set[str]:
    """Return the paths of all packages, relative to the root package."""
    root = ROOT / "openai_costs_dagster"
    data = {"migrations", "versions", "roles", "queries", "views"}
    folders = {path.parent.relative_to(root) for path in root.rglob("__init__.py")}
    return {folder.as_posix() for folder in folders if folder.parts and not data & set(folder.parts)}


def test_readme_lists_every_package() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    layout = readme.partition("## Source layout")[2].partition("```")[2].partition("```")[0]
    listed, parents = set(), list[str]()
    for indentation, name in re.findall(r"^( +)([a-z_]+)/ ", layout, re.MULTILINE):
        depth = len(indentation) // 2 - 1
        parents[depth:] = [name]
        listed.add("/".join(parents))
    assert listed == packages()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_every_named_module_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    root = ROOT / "openai_costs_dagster"
    modules = set(re.findall(r"(?<![\w./])(?:[a-z_]+/)*[a-z_]+\.py\b", text))
    assert modules
    places = (ROOT, root, root / "orchestration", root.with_name("openai_costs_dagster_tests"))
    missing = {module for module in modules if not any((place / module).exists() for place in places)}
    assert missing == set()
