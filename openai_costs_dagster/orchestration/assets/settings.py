"""Settings that the assets of an organization have in common: group, owners, pool, tags, kinds, partitions and
policies.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypedDict

import dagster as dg

from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.orchestration import asset_keys


class Partitioning(NamedTuple):
    """The daily partitions and the backfill policy of an organization's assets.

    Dagster executes several assets in one run only if their partitions are equal and their backfill policies are equal.
    """

    partitions: dg.DailyPartitionsDefinition
    backfill_policy: dg.BackfillPolicy

    @property
    def description(self) -> str:
        """The sentences in each asset's description that explain the limit in Dagster's backfill dialog."""
        return (
            "Backfill any range of days from this page: it becomes one run. Dagster's dialog shows a maximum of "
            f"{self.backfill_policy.max_partitions_per_run} partitions per run. No range of days is that long; the "
            "number only differs between organizations, so that Dagster never joins two organizations in one run."
        )


class AssetSettings(TypedDict):
    """The keyword arguments of `@dg.asset` that `asset_settings` returns."""

    group_name: str
    owners: list[str]
    pool: str
    tags: dict[str, str]
    kinds: set[str]
    metadata: dict[str, Any]
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None
    code_version: str
    partitions_def: dg.DailyPartitionsDefinition | None
    backfill_policy: dg.BackfillPolicy | None


def asset_settings(
    organization: Organization,
    *,
    view: str,
    columns: dg.TableSchema,
    kinds: set[str],
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None,
    partitioning: Partitioning | None = None,
) -> AssetSettings:
    """Return the arguments of `@dg.asset` that all assets of an organization have in common.

    `view` names the view in the schema `openai_costs` that shows the rows of the asset. `columns` describes the columns
    of the view. Without `partitioning`, the asset has no partitions.
    """
    return {
        "group_name": asset_keys.group(organization.name),
        "owners": list(organization.dagster_owners),
        "pool": asset_keys.pool(organization.name),
        "tags": {asset_keys.ORGANIZATION_TAG: organization.name},
        "kinds": kinds,
        "metadata": {"dagster/table_name": f"openai_costs.{view}", "dagster/column_schema": columns},
        "automation_condition": automation_condition,
        "code_version": "1",
        "partitions_def": partitioning.partitions if partitioning else None,
        "backfill_policy": partitioning.backfill_policy if partitioning else None,
    }
