"""Makes or migrates Dagster's tables before any of its processes needs them."""

from __future__ import annotations

import os
from collections.abc import Mapping

import dagster as dg

from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.statements import statement


def prepare_dagster(database: Database, environment: Mapping[str, str]) -> None:
    """Dagster's tables as this release needs them, and what the roles may do with them.

    Of several processes one works, the others wait. Raises WarehouseError.
    """
    database.check_privileges()
    os.environ.update(environment)  # Dagster reads its instance from the environment alone
    with database.connect() as connection, connection.transaction():
        connection.execute(statement("session/migration_lock"))
        with dg.DagsterInstance.get() as instance:
            instance.upgrade()
    database.grant()
