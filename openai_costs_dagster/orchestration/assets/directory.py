"""The asset `openai/<organization>/directory`: the names of an organization's projects, users and API keys."""

# This module omits `from __future__ import annotations`, because Dagster evaluates the annotation of `context` and
# cannot resolve a string annotation of a nested function.
from typing import Any

import dagster as dg

from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.orchestration import asset_keys, database_access, triggers
from openai_costs_dagster.orchestration.assets.settings import asset_settings
from openai_costs_dagster.orchestration.assets.table_schemas import DIRECTORY
from openai_costs_dagster.sync.directory import sync_directory

_DESCRIPTION = """The names of the projects, users and API keys of {title}, with their earlier names.

Names need a key with the scope `api.management.read`. Without it, all other assets work and show ids instead."""


def directory_asset(
    organization: Organization,
    configuration: Configuration,
    *,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None,
) -> dg.AssetsDefinition:
    """Return the asset `directory` of an organization.

    The asset has no partitions, because each run reads all names.
    """

    @dg.asset(
        key=asset_keys.directory_key(organization),
        description=_DESCRIPTION.format(title=organization.title),
        **asset_settings(
            organization,
            view="directory",
            columns=DIRECTORY,
            kinds={"openai", "postgres"},
            automation_condition=automation_condition,
        ),
    )
    def directory(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        result = sync_directory(
            organization,
            database_access.database(configuration),
            may_alert=triggers.trigger_of(context.instance, context.run) == triggers.SCHEDULE,
            log=context.log,
        )
        metadata: dict[str, Any] = {f"{kind}s": count for kind, count in result.counts.items()}
        if result.notes:
            metadata["not_read"] = "; ".join(result.notes)
        return dg.MaterializeResult(metadata=metadata)

    return directory
