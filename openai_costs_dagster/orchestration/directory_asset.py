"""The asset `openai/<organization>/directory`: names of projects, users and keys, best effort and unpartitioned."""

# `from __future__ import annotations` would break Dagster's reading of the context's type in functions made here.
from typing import Any

import dagster as dg

from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.orchestration import names, server, triggers
from openai_costs_dagster.orchestration.name_reading import read_names
from openai_costs_dagster.orchestration.tables import DIRECTORY

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
        key=names.directory_key(organization),
        description=_DESCRIPTION.format(title=organization.title),
        automation_condition=automation_condition,
        group_name=names.group(organization.name),
        owners=list(organization.dagster_owners),
        pool=names.pool(organization.name),
        kinds={"openai", "postgres"},
        tags={names.ORGANIZATION_TAG: organization.name},
        metadata={"dagster/table_name": "openai_costs.directory", "dagster/column_schema": DIRECTORY},
        code_version="1",
    )
    def directory(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        found = read_names(
            organization,
            server.database(configuration),
            may_alert=triggers.asked_by(context.instance, context.run) == triggers.REFRESH,
            log=context.log,
        )
        metadata: dict[str, Any] = {f"{kind}s": count for kind, count in found.counts.items()}
        if found.notes:
            metadata["not_read"] = "; ".join(found.notes)
        return dg.MaterializeResult(metadata=metadata)

    return directory
