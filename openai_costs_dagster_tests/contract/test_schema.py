"""Contract of the SQL schema: the columns of the views, and migrations that produce the described tables."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from openai_costs_dagster.warehouse.database import _SCRIPTS, Connection, Database
from openai_costs_dagster.warehouse.schema import SCHEMA, metadata

VIEWS = {
    "daily_costs": "organization usage_date project_id project_name line_item service category subcategory model"
    " api_key_id user_id amount currency quantity quantity_unit unit_price grouping provisional fetched_at",
    "cost_revisions": "organization usage_date project_id line_item api_key_id user_id currency old_amount new_amount"
    " compared_by observed_at",
    "daily_usage": "organization usage_date operation project_id user_id api_key_id model batch service_tier"
    " input_tokens input_cached_tokens output_tokens num_model_requests images characters seconds usage_bytes"
    " num_sessions num_requests",
    "allocated_costs": "organization usage_date project_id user_id user_email api_key_id model line_item amount"
    " currency method",
    "anomalies": "organization usage_date level project_id service model api_key_id user_id actual expected lower upper"
    " impact direction severity explanation alerted_at feedback",
    "unit_costs": "organization usage_date model amount tokens requests cost_per_1k_tokens cost_per_request",
    "sync_status": "organization last_day settled_to missing_days last_success_at last_error",
}


def on(database: Database, function: Callable[[sqlalchemy.Connection], Any]) -> Any:
    """Call a function with a SQLAlchemy connection, which Alembic requires, and return its result."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(database.url), poolclass=sqlalchemy.NullPool
    )
    with engine.begin() as connection:
        return function(connection)


def differences(connection: sqlalchemy.Connection) -> Any:
    options = {
        "include_schemas": True,
        "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
        "version_table_schema": SCHEMA,
        "compare_server_default": True,
    }
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


def migrate(database: Database, revision: str, move: Callable[[Config, str], None]) -> None:
    def run(connection: sqlalchemy.Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(_SCRIPTS))
        config.attributes["connection"] = connection
        move(config, revision)

    on(database, run)


def test_migrated_schema_equals_the_described_schema(database: Database) -> None:
    assert on(database, differences) == []


def test_there_is_one_newest_revision() -> None:
    assert len(ScriptDirectory(str(_SCRIPTS)).get_heads()) == 1


def test_migrations_can_be_downgraded_and_upgraded(database: Database) -> None:
    migrate(database, "base", command.downgrade)
    with database.connect() as connection:
        left = connection.execute(
            "select relname from pg_class where relnamespace = 'openai_costs'::regnamespace and relkind in ('r', 'v')"
        ).fetchall()
    assert left == [("alembic_version",)]
    database.prepare()
    assert on(database, differences) == []


@pytest.mark.parametrize("view", VIEWS)
def test_view_has_all_promised_columns(connection: Connection, view: str) -> None:
    found = connection.execute(
        "select column_name from information_schema.columns where table_schema = 'openai_costs' and table_name = %s",
        [view],
    )
    assert set(VIEWS[view].split()) <= {name for (name,) in found}
