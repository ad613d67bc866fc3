"""The Dagster component `openai_costs_dagster.OpenAICostsComponent`, for a `defs.yaml` in any Dagster project.

The attributes of the component are the settings of `openai_costs.yaml`, or the path of such a file. Attributes that may
contain secrets are not resolved: a reference to a secret stays a reference, and templates are not replaced by values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias

import dagster as dg
from dagster.components import Scaffolder, ScaffoldRequest
from pydantic import BaseModel, Field, PrivateAttr

from openai_costs_dagster.configuration import Configuration, ConfigurationError, from_mapping, read_file
from openai_costs_dagster.configuration.component_file import PROJECT_ATTRIBUTES
from openai_costs_dagster.configuration.loading import config_excludes
from openai_costs_dagster.orchestration.build import build_definitions

_TEMPLATE = """\
# OpenAI costs. The attributes are the settings of openai_costs.yaml; relative paths start at the root of the project.
# Edit one line: the name of the environment variable with the admin key of the organization.
type: {type}
attributes:
  organizations:
    acme:  # any name of a-z, 0-9, - and _; the assets are openai/acme/...
      admin_key: {{env: ACME_OPENAI_ADMIN_KEY}}  # or {{file: PATH}}; never the key itself
      # start_date: "2026-01-01"  # default: the earliest day that OpenAI serves
  # config: openai_costs.yaml  # instead of all other settings; the command line can read the same file
  # database: {{url: {{env: DATABASE_URL}}}}  # default: an embedded PostgreSQL in data_directory
  # data_directory: .openai-costs
  # refresh: {{cron: "30 1 * * *", trailing_days: 4}}
  # alerts:
  #   - {{url: {{env: SLACK_URL}}, events: [anomaly, budget, sync_failure]}}
  # asset_key_prefix: [finance, openai]  # instead of openai
  # checks: [anomalous_spend, budgets]  # optional checks: these two and latest_day; default: all
  # group_name: finance  # one group for all assets
  # tags: {{domain: finance}}
  # owners: ["team:finops"]
  # heartbeat_url: {{env: HEARTBEAT_URL}}  # requested once a day, after all organizations were read completely
  # automation: false  # your own schedules refresh; the sensors are stopped by default
"""


class OpenAICostsScaffolder(Scaffolder[Any]):
    """Writes a `defs.yaml` whose comments describe the settings."""

    def scaffold(self, request: ScaffoldRequest[Any]) -> None:
        """Write the `defs.yaml` of a new component.

        Raises `ConfigurationError` if Dagster requests Python instead of YAML, because this component supports only
        YAML.
        """
        if request.scaffold_format != "yaml":
            raise ConfigurationError(
                "this component is scaffolded as YAML only: in Python, call build_definitions instead"
            )
        text = _TEMPLATE.format(type=request.type_name)
        if request.append:
            with request.target_path.open("a", encoding="utf-8") as file:
                file.write(f"---\n{text}")
            return
        request.target_path.mkdir(parents=True, exist_ok=True)
        (request.target_path / "defs.yaml").write_text(text, encoding="utf-8")


def _unresolved(context: dg.ResolutionContext, value: Any) -> Any:  # noqa: ARG001  # Dagster passes it
    """Return a value without resolving its templates, which would make a secret part of the component."""
    return _plain(value)


_Mapping: TypeAlias = Annotated[
    Mapping[str, Any] | None, dg.Resolver(_unresolved, model_field_type=dict, inject_before_resolve=False)
]
_List: TypeAlias = Annotated[
    Sequence[Any] | None, dg.Resolver(_unresolved, model_field_type=list, inject_before_resolve=False)
]


class _Source:
    """The position of a component in its `defs.yaml`: the file and the line of each attribute."""

    def __init__(self, tree: Any) -> None:
        """`tree` is the `SourcePositionTree` of the component."""
        self._tree = tree
        self.file: str = tree.position.filename

    def line(self, path: tuple[str | int, ...]) -> int:
        """Return the line of an attribute or of its nearest ancestor, counted from 1."""
        position, _ = self._tree.lookup_closest_and_path(("attributes", *path), None)
        return int(position.start.line)


@dg.scaffold_with(OpenAICostsScaffolder)
class OpenAICostsComponent(dg.Component, dg.Model, dg.Resolvable):
    """Daily OpenAI costs and usage of organizations in Postgres, with checks, anomalies and alerts."""

    organizations: _Mapping = None
    database: _Mapping = None
    data_directory: str | None = None
    refresh: _Mapping = None
    anomalies: _Mapping = None
    alerts: _List = None
    dagster_url: str | None = None
    allowed_hosts: _List = None
    retention: _Mapping = None
    heartbeat_url: _Mapping = None
    asset_key_prefix: _List = None
    checks: _List = None
    config: str | None = None
    group_name: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    owners: list[str] = Field(default_factory=list)
    automation: bool = True
    _source: _Source | None = PrivateAttr(default=None)

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Return the component and keep the lines of its attributes for error messages."""
        loaded = super().load(attributes, context)
        if tree := context.resolution_context.source_position_tree:
            loaded._source = _Source(tree)  # noqa: SLF001  # an instance of this class
        return loaded

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """Return the tags and owners that `dg list components` shows for this component."""
        return dg.ComponentTypeSpec(tags=["openai", "postgres", "finops"], owners=[])

    def configuration(self, folder: Path) -> Configuration:
        """Return the configuration that the attributes describe. Relative paths start at `folder`.

        Raises `ConfigurationError` if an attribute is invalid, or if `config` is combined with other settings.
        """
        values = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        settings = {name: value for name, value in values.items() if name not in PROJECT_ATTRIBUTES}
        where = self._source.file if self._source else "attributes of OpenAICostsComponent"
        if self.config is None:
            return from_mapping(settings, where, folder, self._source)
        if settings:
            line = f", line {self._source.line(('config',))}" if self._source else ""
            raise ConfigurationError(f"{where}{line}: {config_excludes(settings)}")
        return read_file(folder / self.config)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return all assets, checks and sensors, with `group_name`, `tags` and `owners` added to the assets.

        Raises `ConfigurationError` if the configuration is invalid.
        """
        definitions = build_definitions(self.configuration(context.project_root), automation=self.automation)
        if not (self.group_name or self.tags or self.owners):
            return definitions
        return definitions.map_asset_specs(func=self._adjusted)

    def _adjusted(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        if self.group_name:
            spec = spec.replace_attributes(group_name=self.group_name)
        return spec.merge_attributes(tags=self.tags, owners=self.owners)


def _plain(value: Any) -> Any:
    """Return a value in plain types. Numbers with a point become decimals with exactly the written digits."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
