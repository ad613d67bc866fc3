"""Loading of the configuration from `openai_costs.yaml`, or from the environment variable `OPENAI_ADMIN_KEY` alone.

`OPENAI_COSTS_CONFIG` names the file; the default is `openai_costs.yaml` in the working directory. An error message
names the file, the line, the invalid value and the allowed values. Error messages never contain a secret.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, get_args

from pydantic import BaseModel, ValidationError

from openai_costs_dagster.configuration import component_file
from openai_costs_dagster.configuration.component_file import PROJECT_ATTRIBUTES, ComponentDocument
from openai_costs_dagster.configuration.renames import renamed_setting, renamed_variable
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.configuration.settings import (
    Alert,
    Configuration,
    ConfigurationError,
    DatabaseSettings,
    Organization,
)
from openai_costs_dagster.configuration.yaml_document import Document, YamlError
from openai_costs_dagster.configuration.yaml_document import Path as KeyPath
from openai_costs_dagster.redaction import redact
from openai_costs_dagster.user_input import env_variable, read_text

DEFAULT_FILE = "openai_costs.yaml"

# Settings into which a user may write a secret by mistake. Error messages never quote their values.
_SECRET_SETTINGS = frozenset(
    {"admin_key", "proxy", "url", "base_url", "webhook", "secret"}
    | {"project_alert_urls", "dagster_url", "heartbeat_url"}
)


class Lines(Protocol):
    """The lines of settings in their file, for error messages."""

    def line(self, path: KeyPath) -> int | None:
        """Return the line of a setting, counted from 1, or None if the line is unknown."""


def load(path: Path | None = None) -> Configuration:
    """Return the user's configuration. Raises `ConfigurationError`."""
    if path is not None:
        return read_file(path)
    named = env_variable("OPENAI_COSTS_CONFIG")
    path = Path(named or DEFAULT_FILE)
    if _exists(path):
        return read_file(path)
    # A missing file that the user named is an error, because another configuration must not take its place silently.
    if named:
        raise ConfigurationError(f"OPENAI_COSTS_CONFIG names {path}, which does not exist")
    if env_variable("OPENAI_ADMIN_KEY"):
        return from_environment()
    raise ConfigurationError(
        f"there is neither {DEFAULT_FILE} in {_working_directory()} nor OPENAI_ADMIN_KEY in the environment: "
        "export OPENAI_ADMIN_KEY=... (an admin key), or create the file as shown in README.md"
    )


def from_environment() -> Configuration:
    """Return a configuration with one organization named `default`, read from environment variables.

    Reads `OPENAI_ADMIN_KEY`, `OPENAI_BASE_URL`, `OPENAI_ORG_ID` and `DATABASE_URL`. Raises `ConfigurationError`.
    """
    organization: dict[str, Any] = {"admin_key": {"env": "OPENAI_ADMIN_KEY"}}
    if base_url := env_variable("OPENAI_BASE_URL"):
        organization["base_url"] = base_url
    if organization_id := env_variable("OPENAI_ORG_ID"):
        organization["organization_id"] = organization_id
    value: dict[str, Any] = {"organizations": {"default": organization}}
    # A configuration file has to refer to DATABASE_URL itself, because the variable is often set for another program
    # (docs/decisions/0009-database-url.md).
    if env_variable("DATABASE_URL"):
        value["database"] = {"url": {"env": "DATABASE_URL"}}
    return _validated(value, "the environment", _working_directory(), None)


def from_mapping(value: dict[str, Any], where: str, folder: Path, lines: Lines | None = None) -> Configuration:
    """Return the configuration for settings from another file, such as a component's `defs.yaml`.

    Relative paths are resolved against `folder`. `where` names the file in error messages, and `lines` its lines.
    Raises `ConfigurationError`.
    """
    return _validated(value, where, folder, lines)


def read_file(path: Path) -> Configuration:
    """Return the configuration of a file of settings, or of the component in a `defs.yaml`.

    Raises `ConfigurationError`.
    """
    try:
        text = read_text(path)
        folder = path.resolve().parent
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise ConfigurationError(f"{path} is not UTF-8 text") from None
    try:
        if component := component_file.only_component(path, text):
            return _of_component(component, path)
        document = Document(text)
    except YamlError as error:
        raise ConfigurationError(f"{path}, {error}") from None
    if not isinstance(document.value, dict):
        raise ConfigurationError(f"{path} must contain a mapping with the key organizations:")
    configuration = _validated(document.value, str(path), folder, document)
    # Symbolic links are not resolved: Kubernetes replaces the target of a mounted file, and other processes read the
    # file again by this path.
    return configuration.model_copy(update={"source": path.absolute()})


def _of_component(component: ComponentDocument, path: Path) -> Configuration:
    """Return the configuration of a component in a `defs.yaml`, as Dagster reads it. Raises `ConfigurationError`."""
    attributes = component_file.resolved(component, path)
    root = component_file.project_root(path)
    settings = {name: value for name, value in attributes.items() if name not in PROJECT_ATTRIBUTES}
    automation = {name: value for name, value in attributes.items() if name == "automation"}
    if "config" not in attributes:
        configuration = _validated(settings | automation, str(path), root, component)
    elif settings:
        raise ConfigurationError(f"{path}, line {component.line(('config',))}: {config_excludes(settings)}")
    else:
        configuration = read_file(root / str(attributes["config"])).model_copy(update=automation)
    return configuration.model_copy(update={"source": path.absolute()})


def config_excludes(settings: Collection[str]) -> str:
    """Return the message for a component with both the attribute `config` and settings."""
    return f"config names a file with all settings: move {', '.join(settings)} into that file"


def lines_of_organization(path: Path, name: str) -> list[tuple[int, str]]:
    """Return the lines of a configuration file that configure one organization, with line numbers."""
    text = read_text(path)
    component = component_file.only_component(path, text)
    if component and (config := component_file.resolved(component, path).get("config")):
        return lines_of_organization(component_file.project_root(path) / str(config), name)
    document = component.document if component else Document(text)
    settings = component.attributes if component else document.value
    path_of_name = ("attributes", "organizations", name) if component else ("organizations", name)
    first, lines = document.line(path_of_name), text.splitlines()
    if first is None or name not in (settings.get("organizations") or {}):
        return []
    indent = len(lines[first - 1]) - len(lines[first - 1].lstrip())
    last = first
    for number in range(first + 1, len(lines) + 1):
        line = lines[number - 1]
        if not line.strip():
            continue
        if len(line) - len(line.lstrip()) > indent:
            last = number
        # A comment may be indented less than the settings around it and does not end the section.
        elif not line.lstrip().startswith("#"):
            break
    return [(number, lines[number - 1]) for number in range(first, last + 1)]


def _validated(value: dict[str, Any], where: str, folder: Path, lines: Lines | None) -> Configuration:
    # A variable with a former name would otherwise be ignored without any message.
    if renamed := renamed_variable():
        raise ConfigurationError(renamed)
    try:
        configuration = Configuration.model_validate(value)
    except ValidationError as error:
        raise ConfigurationError(_error_message(error, where, lines)) from None
    try:
        return _resolved(configuration, folder)
    # These errors mean that the path is too long, or a symbolic link that points to itself.
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigurationError(f"{where}: data_directory cannot be used: {error}") from None


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    return True


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ConfigurationError("the working directory was deleted: change to another directory") from None


def _resolved(configuration: Configuration, folder: Path) -> Configuration:
    organizations = {
        name: organization.model_copy(
            update={
                "admin_key": organization.admin_key.relative_to(folder),
                "proxy": organization.proxy.relative_to(folder)
                if isinstance(organization.proxy, SecretReference)
                else organization.proxy,
                "project_alert_urls": {
                    project: url.relative_to(folder) for project, url in organization.project_alert_urls.items()
                },
            }
        )
        for name, organization in configuration.organizations.items()
    }
    database = configuration.database
    if database:
        database = DatabaseSettings(url=database.url.relative_to(folder))
    return configuration.model_copy(
        update={
            "organizations": organizations,
            "alerts": tuple(_resolved_alert(alert, folder) for alert in configuration.alerts),
            "database": database,
            "heartbeat_url": configuration.heartbeat_url.relative_to(folder) if configuration.heartbeat_url else None,
            "data_directory": (folder / configuration.data_directory).resolve(),
        }
    )


def _resolved_alert(alert: Alert, folder: Path) -> Alert:
    named = {name: reference for name in ("url", "webhook", "secret") if (reference := getattr(alert, name))}
    return alert.model_copy(update={name: reference.relative_to(folder) for name, reference in named.items()})


def _error_message(error: ValidationError, where: str, lines: Lines | None) -> str:
    """Return a message about the first error, with the invalid value unless the value may be a secret."""
    first = error.errors(include_url=False, include_context=False)[0]
    path = tuple(part for part in first["loc"] if isinstance(part, str | int))
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden" and (renamed := renamed_setting(path)):
        message = renamed
    elif first["type"] == "extra_forbidden":
        message = f"{str(path[-1])!r} is not a setting here; allowed are {', '.join(_allowed_settings(path))}"
    elif first["type"] == "missing":
        message = f"{path[-1]!r} is missing"
    # The invalid value is added, unless it may be a secret or the message of the validator contains it already.
    elif isinstance(first["input"], str | int | Decimal) and not _may_be_secret(path) and "found" not in message:
        message = f"{message}; found {str(first['input'])!r}"
    # A user may have pasted a key into a setting that is not meant for secrets, so keys are removed from the message.
    message = redact(message)
    line = lines.line(path) if lines else None
    place = f"{where}, line {line}" if line else where
    return f"{place}: {'.'.join(map(str, path))}: {message}" if path else f"{place}: {message}"


def _may_be_secret(path: tuple[str | int, ...]) -> bool:
    # A user may write a URL with a password where a section belongs, as in `database: postgresql://...`.
    in_place_of_settings = path[-1:] == ("database",) or (path[:1] == ("alerts",) and len(path) <= 2)
    return in_place_of_settings or bool(_SECRET_SETTINGS & set(map(str, path)))


def _allowed_settings(path: tuple[str | int, ...]) -> list[str]:
    """Return the names of the settings that are allowed where an unknown setting was found."""
    model: type[BaseModel] = Configuration
    for part in path[:-1]:
        field = model.model_fields.get(str(part))
        if field:
            model = _model_of(field.annotation) or model
    hidden = {"asset_key_prefix"} if model is Organization else set()
    return sorted(name for name in model.model_fields if name not in {"name", "source", *hidden})


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside an annotation such as ``dict[str, Organization]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_of(part))), None)
