"""Deletes all data of an organization: its rows in the warehouse, and its assets and runs in Dagster's storage."""

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

_RUNS_PER_QUERY = 100
_LOG = logging.getLogger(__name__)


def purge_organization(
    database: Database, environment: Mapping[str, str], organization: asset_paths.AssetOwner
) -> dict[str, int]:
    """Delete all data of an organization, and return the number of deleted rows by table.

    Raises `WarehouseError` if the database refuses a deletion or does not respond.
    """
    # The variables are set in this process, because Dagster only reads the location of its instance from the
    # environment.
    os.environ.update(environment)
    name = organization.name
    with lock.organization_lock(database, name, purpose="purge", on_wait=_LOG.warning) as connection:
        deleted = purge.purge(connection, name)
        with dg.DagsterInstance.get() as instance:
            deleted["Dagster's runs"] = _delete_from_dagster(instance, organization)
        purge.purge_dagster(connection, asset_paths.organization_path(organization), pool=asset_keys.pool(name))
    return deleted


def _delete_from_dagster(instance: dg.DagsterInstance, organization: asset_paths.AssetOwner) -> int:
    instance.wipe_assets(instance.get_asset_keys(prefix=asset_paths.organization_path(organization)))
    prefix = organization.asset_key_prefix
    deleted = 0
    run_ids = _run_ids_with_assets_of(instance, organization)
    for start in range(0, len(run_ids), _RUNS_PER_QUERY):
        for run in instance.get_runs(filters=dg.RunsFilter(run_ids=run_ids[start : start + _RUNS_PER_QUERY])):
            # A run that also materialized an asset of another organization, or of all organizations, is still part of
            # their history and is not deleted.
            owners = {asset_keys.organization_of(key, prefix) for key in asset_keys.assets_of_run(run)}
            if owners == {organization.name}:
                instance.delete_run(run.run_id)
                deleted += 1
    return deleted


def _run_ids_with_assets_of(instance: dg.DagsterInstance, organization: asset_paths.AssetOwner) -> list[str]:
    """Return the ids of the runs whose stored JSON contains the beginning of the organization's asset keys.

    The database searches the stored JSON, because runs have no tag with their assets, and an instance may have hundreds
    of thousands of runs.
    """
    storage = instance.run_storage
    # A storage such as that of Dagster+ cannot be queried by SQL, so every run is a candidate.
    if not isinstance(storage, SqlRunStorage):
        return list(instance.get_run_ids())
    key_start = json.dumps(asset_paths.organization_path(organization)).removesuffix("]")
    mentions = RunsTable.c.run_body.contains(f"{key_start},", autoescape=True)
    with storage.connect() as connection:
        return list(connection.execute(sqlalchemy.select(RunsTable.c.run_id).where(mentions)).scalars())
