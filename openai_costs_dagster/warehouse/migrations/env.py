"""Alembic's entry point: runs the migrations on the connection and in the transaction of `Database.prepare`."""

from __future__ import annotations

from alembic import context

from openai_costs_dagster.warehouse.schema import SCHEMA, metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    # Sessions of this package search only the schema `pg_catalog` for tables. Without a schema, Alembic would not find
    # its version table.
    version_table_schema=SCHEMA,
    include_schemas=True,
    transactional_ddl=True,
    # All migrations run in one transaction, so if one of them fails, the schema stays at the version before the first.
    transaction_per_migration=False,
)
context.run_migrations()
