"""Runs migrations on the connection that `database.prepare` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from openai_costs_dagster.warehouse.schema import SCHEMA, metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    # The search path of a session contains only `pg_catalog`, so the version table needs its schema.
    version_table_schema=SCHEMA,
    include_schemas=True,
    transactional_ddl=True,
    # All migrations share one transaction, so a failed migration leaves the schema as it was.
    transaction_per_migration=False,
)
context.run_migrations()
