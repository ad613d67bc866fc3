"""The door for other people's Dagster projects: `openai_costs_dagster.OpenAICostsComponent` in a `defs.yaml`.

Its attributes are the settings of `openai_costs.yaml`, or the path of such a file. They are kept as they are written:
a secret stays the reference that it is, and templates are not filled in, so that none can put a secret here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import dagster as dg
from dagster.components import Scaffolder, ScaffoldRequest
from pydantic import BaseModel, Field

from openai_costs_dagster.configuration import Configuration, ConfigurationError, from_mapping, read_file
from openai_costs_dagster.orchestration.build import build_definitions

_TEMPLATE = """\
# OpenAI costs: every setting of openai_costs.yaml may stand below attributes. Relative paths: from the project's root.
# The one edit: the name of the environment variable that holds the organization's admin key.
type: {type}
attributes:
  organizations:
    acme:  # a name of your own: a-z, 0-9, - and _; its assets are openai/acme/...
      admin_key: {{env: ACME_OPENAI_ADMIN_KEY}}  # or {{file: PATH}}; never the key itself
      # start_date: "2026-01-01"  # by default as far back as the API serves
  # config: openai_costs.yaml  # instead of organizations and all settings: a file that the command line reads as well
  # database: {{url: {{env: DATABASE_URL}}}}  # by default a PostgreSQL of its own in data_directory
  # data_directory: .openai-costs
  # refresh: {{cron: "30 1 * * *", trailing_days: 4}}
  # alerts:
  #   - {{url: {{env: SLACK_URL}}, events: [anomaly, budget, sync_failure]}}
  # asset_key_prefix: [finance, openai]  # instead of openai
  # checks: [anomalous_spend, budgets]  # of those one can do without: these two and latest_day
  # group_name: finance  # one group for all assets
  # tags: {{domain: finance}}
  # owners: ["team:finops"]
  # heartbeat_url: {{env: HEARTBEAT_URL}}  # requested once a day, when every organization was read completely
  # automation: false  # your own schedules refresh; sensors wait until someone starts them
"""


class OpenAICostsScaffolder(Scaffolder[Any]):
    """Writes a `defs.yaml` that says in comments what may stand in it."""

    def scaffold(self, request: ScaffoldRequest[Any]) -> None:
        """Raises ConfigurationError where Python is asked for: `build_definitions` is the way there."""
        if request.scaffold_format != "yaml":
            raise ConfigurationError("this component is scaffolded as YAML; in Python call build_definitions instead")
        text = _TEMPLATE.format(type=request.type_name)
        if request.append:
            with request.target_path.open("a", encoding="utf-8") as file:
                file.write(f"---\n{text}")
            return
        request.target_path.mkdir(parents=True, exist_ok=True)
        (request.target_path / "defs.yaml").write_text(text, encoding="utf-8")


def _as_written(context: dg.ResolutionContext, value: Any) -> Any:  # noqa: ARG001  # Dagster passes it
    """Without the templates that Dagster would fill in: a secret would become part of the component."""
    return _plain(value)


_Mapping: TypeAlias = Annotated[
    Mapping[str, Any] | None, dg.Resolver(_as_written, model_field_type=dict, inject_before_resolve=False)
]
_List: TypeAlias = Annotated[
    Sequence[Any] | None, dg.Resolver(_as_written, model_field_type=list, inject_before_resolve=False)
]

_OF_THE_PROJECT = {"config", "group_name", "tags", "owners", "automation"}


@dg.scaffold_with(OpenAICostsScaffolder)
class OpenAICostsComponent(dg.Component, dg.Model, dg.Resolvable):
    """Every configured OpenAI organization's daily bill in Postgres, checked, watched and told of."""

    organizations: _Mapping = None
    database: _Mapping = None
    data_directory: str | None = None
    refresh: _Mapping = None
    anomalies: _Mapping = None
    alerts: _List = None
    dagster_url: str | None = None
    retention: _Mapping = None
    heartbeat_url: _Mapping = None
    asset_key_prefix: _List = None
    checks: _List = None
    config: str | None = None
    group_name: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    owners: list[str] = Field(default_factory=list)
    automation: bool = True

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What `dg list components` shows beside the description."""
        return dg.ComponentTypeSpec(tags=["openai", "postgres", "finops"], owners=[])

    def configuration(self, folder: Path) -> Configuration:
        """What the attributes say, relative paths taken from a folder. Raises ConfigurationError."""
        said = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        settings = {name: value for name, value in said.items() if name not in _OF_THE_PROJECT}
        if self.config is None:
            return from_mapping(settings, "attributes of OpenAICostsComponent", folder)
        if settings:
            raise ConfigurationError(f"config names a file that says all: move {', '.join(settings)} there")
        return read_file(folder / self.config)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Everything that the organizations need, as this project wants it. Raises ConfigurationError."""
        definitions = build_definitions(self.configuration(context.project_root), automation=self.automation)
        if not (self.group_name or self.tags or self.owners):
            return definitions
        return definitions.map_asset_specs(func=self._adjusted)

    def _adjusted(self, spec: dg.AssetSpec) -> dg.AssetSpec:
        if self.group_name:
            spec = spec.replace_attributes(group_name=self.group_name)
        return spec.merge_attributes(tags=self.tags, owners=self.owners)


def _plain(value: Any) -> Any:
    """As our own reader of YAML would give it: amounts are decimals, as they are written."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
