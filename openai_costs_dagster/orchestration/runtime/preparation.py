"""Creates or migrates Dagster's tables before Dagster's processes start."""

from __future__ import annotations

import os
from collections.abc import Mapping

import dagster as dg

from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.statements import statement


def prepare_dagster(database: Database, environment: Mapping[str, str]) -> None:
    """Create or migrate Dagster's tables for this release, and grant the database roles their rights.

    Of several processes, one migrates while the others wait. Raises `WarehouseError`.
    """
    database.check_privileges()
    os.environ.update(environment)  # Dagster reads the location of its instance from the environment only.
    with database.connect() as connection, connection.transaction():
        connection.execute(statement("session/migration_lock"))
        with dg.DagsterInstance.get() as instance:
            instance.upgrade()
    database.grant()
