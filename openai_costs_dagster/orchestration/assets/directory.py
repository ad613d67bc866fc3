"""The asset `openai/<organization>/directory`: names of projects, users and keys, best effort and unpartitioned."""

# `from __future__ import annotations` would break Dagster's reading of the context's type in functions made here.
from typing import Any

import dagster as dg

from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.orchestration import asset_keys, database_access, triggers
from openai_costs_dagster.orchestration.assets.table_schemas import DIRECTORY
from openai_costs_dagster.sync.directory import sync_directory

_DESCRIPTION = """What the ids of {title} stand for: projects, users and API keys, with the names that they had
before.

Best effort: names need the scope `api.management.read`, and everything works with ids alone."""


def directory_asset(
    organization: Organization,
    configuration: Configuration,
    *,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None,
) -> dg.AssetsDefinition:
    """Makes an organization's directory asset."""

    @dg.asset(
        key=asset_keys.directory_key(organization),
        description=_DESCRIPTION.format(title=organization.title),
        automation_condition=automation_condition,
        group_name=asset_keys.group(organization.name),
        owners=list(organization.dagster_owners),
        pool=asset_keys.pool(organization.name),
        kinds={"openai", "postgres"},
        tags={asset_keys.ORGANIZATION_TAG: organization.name},
        metadata={"dagster/table_name": "openai_costs.directory", "dagster/column_schema": DIRECTORY},
        code_version="1",
    )
    def directory(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        found = sync_directory(
            organization,
            database_access.database(configuration),
            may_alert=triggers.trigger_of(context.instance, context.run) == triggers.SCHEDULE,
            log=context.log,
        )
        metadata: dict[str, Any] = {f"{kind}s": count for kind, count in found.counts.items()}
        if found.notes:
            metadata["not_read"] = "; ".join(found.notes)
        return dg.MaterializeResult(metadata=metadata)

    return directory
