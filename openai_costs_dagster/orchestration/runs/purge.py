"""Deletes an organization everywhere: the warehouse, and Dagster's records of its assets and runs."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping

import dagster as dg
import sqlalchemy
from dagster._core.storage.runs import SqlRunStorage
from dagster._core.storage.runs.schema import RunsTable

from openai_costs_dagster import asset_paths
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.warehouse import lock, purge
from openai_costs_dagster.warehouse.database import Database

_RUNS_AT_ONCE = 100
_LOG = logging.getLogger(__name__)


def purge_organization(
    database: Database, environment: Mapping[str, str], organization: asset_paths.AssetOwner
) -> dict[str, int]:
    """Deletes all of an organization; returns what was deleted, by table. Raises WarehouseError."""
    os.environ.update(environment)  # Dagster reads its instance from the environment alone
    name = organization.name
    with lock.organization_lock(database, name, purpose="purge", on_wait=_LOG.warning) as connection:
        deleted = purge.purge(connection, name)
        with dg.DagsterInstance.get() as instance:
            deleted["Dagster's runs"] = _wipe(instance, organization)
        purge.purge_dagster(connection, asset_paths.organization_path(organization), pool=asset_keys.pool(name))
    return deleted


def _wipe(instance: dg.DagsterInstance, organization: asset_paths.AssetOwner) -> int:
    instance.wipe_assets(instance.get_asset_keys(prefix=asset_paths.organization_path(organization)))
    prefix, only_it = organization.asset_key_prefix, {organization.name}
    deleted = 0
    run_ids = _runs_that_mention(instance, organization)
    for start in range(0, len(run_ids), _RUNS_AT_ONCE):
        for run in instance.get_runs(filters=dg.RunsFilter(run_ids=run_ids[start : start + _RUNS_AT_ONCE])):
            if {asset_keys.organization_of(key, prefix) for key in asset_keys.assets_of_run(run)} == only_it:
                instance.delete_run(run.run_id)
                deleted += 1
    return deleted


def _runs_that_mention(instance: dg.DagsterInstance, organization: asset_paths.AssetOwner) -> list[str]:
    """The ids of the runs whose stored text holds the beginning of the organization's asset keys.

    The database searches for it: runs have no tag with their assets, and an instance may hold hundreds of thousands.
    """
    storage = instance.run_storage
    if not isinstance(storage, SqlRunStorage):  # as in Dagster+
        return list(instance.get_run_ids())
    beginning = json.dumps(asset_paths.organization_path(organization)).removesuffix("]")
    mentions = RunsTable.c.run_body.contains(f"{beginning},", autoescape=True)
    with storage.connect() as connection:
        return list(connection.execute(sqlalchemy.select(RunsTable.c.run_id).where(mentions)).scalars())
