"""Tests of the privileges of each role: the owner migrates, the loader writes rows, and readers read views."""

from __future__ import annotations

import psycopg
import pytest

from openai_costs_dagster.warehouse import errors
from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.roles import script
from openai_costs_dagster.warehouse.schema import metadata
from openai_costs_dagster.warehouse.statements import view_names

from ..conftest import Databases
from ..installation import Installation
from .windows import DAY, row, store, stored

TABLES = sorted(table.name for table in metadata.tables.values())
OF_THE_SCHEMA = {"schema_metadata", "alembic_version"}


def refused(database: Database, statement: str) -> str:
    """Return the server's message for a statement that the role may not execute."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as error:
            connection.execute(statement)
        return str(error.value)


def digest(installation: Installation) -> list[tuple[object, ...]]:
    """Return the owner and the privileges of each table and view, and all row security policies."""
    return [
        *installation.query(
            "select relname::text, relowner::regrole::text, relrowsecurity,"
            " array(select acl::text from unnest(relacl) as acl order by 1)"
            " from pg_class where relnamespace = 'openai_costs'::regnamespace and relkind in ('r', 'v') order by 1"
        ),
        *installation.query("select tablename, policyname, qual from pg_policies order by 1, 2"),
    ]


# The owner


def test_owner_owns_all_tables_and_views_and_cannot_create_schemas(installed: Installation) -> None:
    owners = installed.query(
        "select distinct relowner::regrole::text from pg_class"
        " where relnamespace = 'openai_costs'::regnamespace and relkind in ('r', 'v')"
    )
    assert owners == [("openai_costs_owner",)]
    assert "permission denied for database" in refused(installed.owner, "create schema elsewhere")


def test_roles_script_is_idempotent(installed: Installation) -> None:
    before = digest(installed)
    installed.run(script(by_organization=False))
    assert digest(installed) == before


def test_roles_work_in_an_existing_database_and_foreign_tables_keep_their_owner(trust_server: Databases) -> None:
    installation = Installation(trust_server.new())
    with installation.database.connect() as connection:
        store(connection, {DAY: [row("1.5")]})
        connection.execute("create schema openai_costs_dagster")
        connection.execute("create table openai_costs_dagster.runs (id bigserial, run_id text)")
        connection.execute("create table openai_costs.foreign_table (organization text)")
    installation.run(script(by_organization=False))
    installation.owner.prepare()
    with installation.loader.connect() as connection:
        store(connection, {DAY: [row("2.5")]})
        assert stored(connection) == {DAY: [row("2.5")]}
        connection.execute("insert into openai_costs_dagster.runs (run_id) values ('one')")
    owner = installation.query("select tableowner from pg_tables where tablename = 'foreign_table'")
    assert owner == [("postgres",)]
    assert "permission denied" in refused(installation.loader, "select from openai_costs.foreign_table")


def test_administrator_without_superuser_can_run_the_script(trust_server: Databases) -> None:
    database = trust_server.new(prepared=False)
    installation = Installation(database)
    name = database.url.split("/")[3].split("?")[0]
    installation.run(
        "do $$ begin if to_regrole('an_administrator') is null then"
        " create role an_administrator login createrole; end if; end $$",
        f"alter database {name} owner to an_administrator",
        # Roles belong to the server, so an earlier test may have created them. The administrator needs rights on them.
        *(
            f"do $$ begin if to_regrole('{role}') is not null then"
            f" grant {role} to an_administrator with admin option; end if; end $$"
            for role in ("openai_costs_owner", "openai_costs_loader", "openai_costs_reader", "openai_costs_views")
        ),
    )
    with installation.as_role("an_administrator").connect() as connection:
        connection.execute(script(by_organization=True))
    installation.owner.prepare()
    with installation.as_role("an_administrator").connect() as connection:
        connection.execute(script(by_organization=True))
    assert installation.query("select viewowner from pg_views where viewname = 'focus'") == [("openai_costs_views",)]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "alter role openai_costs_reader bypassrls",
            "alter role openai_costs_reader nobypassrls",
            "openai_costs_reader has too many privileges",
        ),
        (
            "grant openai_costs_owner to openai_costs_loader",
            "revoke openai_costs_owner from openai_costs_loader",
            "is a member of openai_costs_owner",
        ),
        (
            "grant pg_read_all_data to openai_costs_reader",
            "revoke pg_read_all_data from openai_costs_reader",
            "is a member of pg_read_all_data",
        ),
    ],
)
def test_overprivileged_roles_are_refused(installed: Installation, before: str, after: str, message: str) -> None:
    installed.run(before)
    try:
        with pytest.raises(psycopg.errors.RaiseException, match=message):
            installed.run(script(by_organization=False))
    finally:
        installed.run(after)


# The loader


def test_loader_stores_days_in_a_schema_of_the_owner(installed: Installation) -> None:
    installed.loader.prepare()
    with installed.loader.connect() as connection:
        store(connection, {DAY: [row("1.5")]})
        assert stored(connection) == {DAY: [row("1.5")]}


@pytest.mark.parametrize("table", TABLES)
def test_loader_may_change_rows_but_no_tables(installed: Installation, table: str) -> None:
    rights = {
        right: installed.query(f"select has_table_privilege('openai_costs_loader', 'openai_costs.{table}', '{right}')")
        == [(True,)]
        for right in ("select", "insert", "update", "delete", "truncate", "references", "trigger")
    }
    writes = table not in OF_THE_SCHEMA
    assert rights == {
        "select": True,
        **dict.fromkeys(("insert", "update", "delete"), writes),
        **dict.fromkeys(("truncate", "references", "trigger"), False),
    }


@pytest.mark.parametrize(
    "statement",
    [
        "create table openai_costs.mine (id int)",
        "drop view openai_costs.daily_costs cascade",
        "alter table openai_costs.cost_rows add column more text",
        "create index on openai_costs.cost_rows (amount)",
        "create or replace view openai_costs.daily_costs as select 1",
        "truncate openai_costs.cost_rows",
        "create table openai_costs_dagster.mine (id int)",
        "create schema mine",
        "update openai_costs.schema_metadata set value = ''",
        "update openai_costs.alembic_version set version_num = ''",
        "alter table openai_costs.raw_buckets owner to openai_costs_loader",
        "set role openai_costs_owner",
        "create role another",
        "copy openai_costs.cost_rows to program 'cat'",
    ],
)
def test_loader_cannot_change_schemas_or_assume_other_roles(installed: Installation, statement: str) -> None:
    assert refused(installed.loader, statement)


def test_loader_cannot_migrate_and_works_after_the_owner_migrated(installed: Installation) -> None:
    installed.run("update openai_costs.schema_metadata set value = 'of another release' where key = 'views'")
    with pytest.raises(errors.DatabaseRefused, match=r"cannot be migrated.*run openai-costs prepare as the owner"):
        installed.loader.prepare()
    installed.owner.prepare()
    installed.loader.prepare()


# Readers


@pytest.mark.parametrize("view", view_names())
def test_reader_reads_every_view(installed: Installation, view: str) -> None:
    with installed.reader.connect() as connection:
        connection.execute(f"select * from openai_costs.{view}")  # noqa: S608  # our own names


@pytest.mark.parametrize("table", [*TABLES, *sorted(OF_THE_SCHEMA - set(TABLES))])
def test_reader_cannot_read_tables_or_their_statistics(installed: Installation, table: str) -> None:
    assert refused(installed.reader, f"select from openai_costs.{table}")
    with installed.loader.connect() as connection:
        store(connection, {DAY: [row("1.5"), row("2.5", project_id="proj_two")]})
    installed.run("analyze")
    with installed.reader.connect() as connection:
        assert connection.execute("select count(*) from pg_stats where schemaname = 'openai_costs'").fetchone() == (0,)


@pytest.mark.parametrize(
    "statement",
    [
        "insert into openai_costs.cost_revisions (organization) values ('acme')",
        "delete from openai_costs.budget_status",
        "create table openai_costs.mine (id int)",
        "set role openai_costs_owner",
        "set role openai_costs_loader",
        "set session authorization openai_costs_loader",
        "select from openai_costs_dagster.runs",
    ],
)
def test_reader_cannot_write_or_assume_other_roles(installed: Installation, statement: str) -> None:
    with psycopg.connect(installed.reader.url, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")  # Every session may change this default.
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_foreign_view_in_the_schema_gets_no_grants(installed: Installation) -> None:
    installed.run("create view openai_costs.of_auditors as select * from openai_costs.raw_buckets")
    installed.run(script(by_organization=False))
    assert "permission denied for view of_auditors" in refused(installed.reader, "select from openai_costs.of_auditors")


# Later releases


def test_grants_survive_recreated_views(installed: Installation) -> None:
    before = digest(installed)
    installed.run(
        # `cascade` also drops the view `focus`, which selects from `daily_costs`.
        "drop view openai_costs.daily_costs cascade",
        "update openai_costs.schema_metadata set value = 'of another release' where key = 'views'",
    )
    installed.owner.prepare()
    assert digest(installed) == before


def test_superuser_migration_leaves_all_objects_to_the_owner(installed: Installation) -> None:
    before = digest(installed)
    installed.run(
        "drop view openai_costs.unit_prices",
        "update openai_costs.schema_metadata set value = 'of another release' where key = 'views'",
    )
    installed.database.prepare()
    assert digest(installed) == before


def test_database_without_the_roles_script_has_no_grants_or_row_security(trust_server: Databases) -> None:
    """The roles exist on the server, because roles are shared by all of its databases."""
    without = Installation(trust_server.new())
    assert without.query("select from pg_roles where rolname = 'openai_costs_reader'")
    assert (
        without.query("select from pg_class where relnamespace = 'openai_costs'::regnamespace and relrowsecurity") == []
    )
    query = "select from pg_class where relnamespace = 'openai_costs'::regnamespace and relacl is not null"
    assert without.query(query) == []
