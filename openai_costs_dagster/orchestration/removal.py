"""Deletes an organization everywhere: the warehouse, and Dagster's records of its assets and runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

import dagster as dg

from openai_costs_dagster.orchestration import names
from openai_costs_dagster.warehouse import lock, removal
from openai_costs_dagster.warehouse.database import Database

_LOG = logging.getLogger(__name__)


def purge_organization(database: Database, environment: Mapping[str, str], organization: names.Owner) -> dict[str, int]:
    """Deletes all of an organization; returns what was deleted, by table. Raises WarehouseError."""
    os.environ.update(environment)  # Dagster reads its instance from the environment alone
    name = organization.name
    with lock.reader(database, name, purpose="purge", on_wait=_LOG.warning) as connection:
        deleted = removal.purge(connection, name)
        with dg.DagsterInstance.get() as instance:
            deleted["Dagster's runs"] = _wipe(instance, organization)
        removal.purge_dagster(connection, names.assets_of(organization), pool=names.pool(name))
    return deleted


def _wipe(instance: dg.DagsterInstance, organization: names.Owner) -> int:
    instance.wipe_assets(instance.get_asset_keys(prefix=names.assets_of(organization)))
    prefix, only_it = organization.asset_key_prefix, {organization.name}
    runs = [run for run in instance.get_runs() if _organizations_of(run, prefix) == only_it]
    for run in runs:
        instance.delete_run(run.run_id)
    return len(runs)


def _organizations_of(run: dg.DagsterRun, prefix: Sequence[str]) -> set[str | None]:
    """Whose a run was, also where it ran checks alone."""
    checked = {check.asset_key for check in run.asset_check_selection or ()}
    return {names.organization_of(key, prefix) for key in checked | set(run.asset_selection or ())}
