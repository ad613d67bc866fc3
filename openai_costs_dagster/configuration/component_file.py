"""Reads the settings of the `OpenAICostsComponent` in a `defs.yaml` without Dagster, for `openai-costs --defs PATH`.

The settings equal the settings that Dagster reads from the same file: relative paths start at the root of the project,
and environment variables replace the templates of the attributes `config`, `data_directory`, `dagster_url` and
`automation`. The templates of all other settings stay unreplaced, as in Dagster, because their values may be secrets.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from openai_costs_dagster.configuration.settings import ConfigurationError
from openai_costs_dagster.configuration.yaml_document import Document, YamlError
from openai_costs_dagster.configuration.yaml_document import Path as KeyPath
from openai_costs_dagster.user_input import read_text

COMPONENT = "openai_costs_dagster.OpenAICostsComponent"
PROJECT_ATTRIBUTES = frozenset({"config", "group_name", "tags", "owners", "automation"})
"""The attributes that are no settings of `openai_costs.yaml`."""

_CLASS_NAME = COMPONENT.rpartition(".")[2]
_TYPES = {COMPONENT, "openai_costs_dagster.component.OpenAICostsComponent"}
_FILE_NAMES = ("defs.yaml", "component.yaml")
_TEMPLATES = ("config", "data_directory", "dagster_url", "automation")
_NOT_PROJECT_FOLDERS = {"node_modules", "site-packages", "venv"}


@dataclass(frozen=True)
class ComponentDocument:
    """One component of a YAML file. The document keeps the line of each attribute."""

    document: Document
    attributes: dict[str, Any]

    def line(self, path: KeyPath) -> int | None:
        """Return the line of an attribute or of its nearest ancestor, counted from 1."""
        return self.document.line(("attributes", *path))


def find(path: Path) -> Path:
    """Return the only file with the component in a project, a folder of definitions or a file.

    Raises `ConfigurationError` if there is none or more than one.
    """
    try:
        path.stat()
    except OSError as error:
        raise ConfigurationError(f"--defs {path} cannot be read: {error.strerror}") from None
    found = [file for file in _candidates(path) if _components(file)]
    if not found:
        raise ConfigurationError(
            f"--defs {path} contains no component {COMPONENT}: name its defs.yaml, or a folder that contains it"
        )
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise ConfigurationError(f"--defs {path} contains {len(found)} components: name one of {names}")
    only_component(found[0], _text(found[0]))
    return found[0]


def only_component(path: Path, text: str) -> ComponentDocument | None:
    """Return the component in the text of a file, or None if the text is a file of settings.

    Raises `ConfigurationError` if the file contains several components, and `YamlError`.
    """
    if _CLASS_NAME not in text:
        return None
    found = list(_parsed(text))
    if len(found) > 1:
        lines = " and ".join(f"line {component.document.line(('type',))}" for component in found)
        raise ConfigurationError(
            f"{path} contains {len(found)} components, in {lines}: move them into separate folders"
        )
    return found[0] if found else None


def resolved(component: ComponentDocument, where: Path) -> dict[str, Any]:
    """Return the attributes without templates. Raises `ConfigurationError` for a template that does not use `env`."""
    values = dict(component.attributes)
    for name in _TEMPLATES:
        value = values.get(name)
        if isinstance(value, str) and "{{" in value:
            place = f"{where}, line {component.line((name,))}: {name}"
            values[name] = _render(value, place)
    # An attribute whose variable is unset has its default, as in Dagster.
    return {name: value for name, value in values.items() if value is not None}


def project_root(path: Path) -> Path:
    """Return the folder at which the relative paths of a component start: the root of the Dagster project.

    Without a project, relative paths start at the folder of the file.
    """
    folder = path.absolute().parent
    return next((parent for parent in (folder, *folder.parents) if _is_project(parent)), folder)


def _candidates(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, subfolders, files in os.walk(path):
        subfolders[:] = sorted(name for name in subfolders if name[0] != "." and name not in _NOT_PROJECT_FOLDERS)
        yield from (Path(folder, name) for name in _FILE_NAMES if name in files)


def _text(file: Path) -> str:
    try:
        return read_text(file)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise ConfigurationError(f"{file} is not UTF-8 text") from None


def _components(file: Path) -> list[ComponentDocument]:
    text = _text(file)
    try:
        # Files of other components are not parsed, because errors in them are reported by Dagster.
        return list(_parsed(text)) if _CLASS_NAME in text else []
    except YamlError as error:
        raise ConfigurationError(f"{file}, {error}") from None


def _parsed(text: str) -> Iterator[ComponentDocument]:
    """Yield the components of a text, which may contain several YAML documents. Raises `YamlError`."""
    for part in _documents(text):
        document = Document(part)
        value = document.value
        if isinstance(value, dict) and value.get("type") in _TYPES:
            attributes = value.get("attributes")
            if attributes is not None and not isinstance(attributes, dict):
                raise YamlError(f"line {document.line(('attributes',))}: attributes must be a mapping")
            yield ComponentDocument(document, attributes or {})


def _documents(text: str) -> Iterator[str]:
    """Yield each document of a YAML text, after as many empty lines as precede it, so that line numbers stay."""
    lines = text.splitlines(keepends=True)
    try:
        events = [event for event in yaml.parse(text) if isinstance(event, yaml.DocumentStartEvent)]
    except yaml.YAMLError:
        yield text  # `Document` reports the error with its line.
        return
    starts = [event.start_mark.line if event.start_mark else 0 for event in events]
    for first, last in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield "\n" * first + "".join(lines[first:last])


def _render(template: str, place: str) -> Any:
    # Jinja is imported here, because most commands read no template.
    import jinja2
    from jinja2.nativetypes import NativeEnvironment

    try:
        return NativeEnvironment(undefined=jinja2.StrictUndefined).from_string(template).render(env=_Env())
    except jinja2.UndefinedError as error:
        raise ConfigurationError(
            f"{place} uses a template that only Dagster can replace ({error}): use env.NAME, or write the value"
        ) from None
    except (jinja2.TemplateError, LookupError) as error:
        raise ConfigurationError(f"{place}: this template cannot be replaced: {error}") from None


class _Env:
    """The name `env` of a template, as Dagster defines it: ``env.NAME`` or ``env('NAME', 'default')``."""

    def __call__(self, name: str, default: Any = ...) -> Any:
        value = os.environ.get(name, default)
        if value is ...:
            raise LookupError(f"the environment variable {name} is not set")
        return value

    def __getattr__(self, name: str) -> str | None:
        if name.startswith(("jinja", "__")):  # Jinja looks for its own attributes in every object.
            raise AttributeError(name)
        return os.environ.get(name)


def _is_project(folder: Path) -> bool:
    if (folder / "dg.toml").exists():
        return True
    try:
        with (folder / "pyproject.toml").open("rb") as file:
            return "dg" in tomllib.load(file).get("tool", {})
    except (OSError, tomllib.TOMLDecodeError):
        return False
