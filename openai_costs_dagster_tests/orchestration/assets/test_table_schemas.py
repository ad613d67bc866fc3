"""Tests of the column schemas of the assets: they list all columns of the SQL views, with the types of PostgreSQL."""

from __future__ import annotations

import dagster as dg
import pytest

from openai_costs_dagster.orchestration.assets import table_schemas
from openai_costs_dagster.warehouse.database import Database

SCHEMAS = {
    "daily_costs": table_schemas.DAILY_COSTS,
    "daily_usage": table_schemas.DAILY_USAGE,
    "allocated_costs": table_schemas.ALLOCATED_COSTS,
    "directory": table_schemas.DIRECTORY,
    "focus": table_schemas.FOCUS,
}
_COLUMNS = """
select attname::text, case format_type(atttypid, null)
    when 'timestamp with time zone' then 'timestamptz'
    else format_type(atttypid, null)
end
from pg_attribute
where attrelid = to_regclass('openai_costs.' || quote_ident(%s)) and attnum > 0
"""


@pytest.mark.parametrize("view", SCHEMAS)
def test_schema_has_the_columns_and_types_of_the_view(database: Database, view: str) -> None:
    with database.connect() as connection:
        columns = dict(connection.execute(_COLUMNS, [view]).fetchall())
    assert {column.name: column.type for column in SCHEMAS[view].columns} == columns
    assert all(isinstance(column, dg.TableColumn) and column.description for column in SCHEMAS[view].columns)
