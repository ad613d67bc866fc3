"""Runs migrations on the connection that `database.prepare` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from openai_costs_dagster.warehouse.schema import SCHEMA, metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    include_schemas=True,
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
