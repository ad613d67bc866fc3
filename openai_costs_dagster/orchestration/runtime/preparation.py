"""Creates or migrates Dagster's own tables before Dagster's processes start."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

import dagster as dg

from openai_costs_dagster.warehouse import lock
from openai_costs_dagster.warehouse.database import Database

_LOG = logging.getLogger(__name__)


def prepare_dagster(database: Database, environment: Mapping[str, str]) -> None:
    """Create or migrate Dagster's tables for this release, and grant the database roles their rights on them.

    `database.prepare()` must have created the warehouse before. If several processes call this function, one of them
    migrates while the others wait. Raises `WarehouseError` if the database refuses a change or does not respond.
    """
    database.check_privileges()
    # The variables are set in this process, because Dagster only reads the location of its instance from the
    # environment.
    os.environ.update(environment)
    with lock.dagster_tables_lock(database, on_wait=_LOG.warning), dg.DagsterInstance.get() as instance:
        instance.upgrade()
    database.grant_on_dagster()
