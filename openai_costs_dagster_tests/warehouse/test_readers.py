"""Tests of the database readers that `openai-costs readers add` creates: limits, privileges and long transactions."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from openai_costs_dagster.warehouse import errors, readers
from openai_costs_dagster.warehouse.roles import script

from ..conftest import Databases
from ..installation import Installation
from .windows import DAY, row, store

LIMITS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "1min",
    "idle_in_transaction_session_timeout": "1min",
    "work_mem": "16MB",
    "TimeZone": "UTC",
}
NOW = dt.timedelta(0)
"""A maximum age of zero, which every open transaction exceeds."""


@pytest.fixture
def name(installed: Installation) -> Iterator[str]:
    """The name of a role that does not exist yet. The name contains characters that must be quoted in SQL."""
    name = f"Kim's \\ $$$ /*organizations*/ {uuid.uuid4().hex[:8]}"
    yield name
    drop(installed, name)


def drop(installation: Installation, name: str) -> None:
    identifier = psycopg.sql.Identifier(name)
    with installation.database.connect() as connection:
        if connection.execute("select from pg_roles where rolname = %s", [name]).fetchone() is not None:
            connection.execute(psycopg.sql.SQL("drop owned by {}").format(identifier))
            connection.execute(psycopg.sql.SQL("drop role {}").format(identifier))


def session_of(installation: Installation, name: str) -> psycopg.Connection:
    """Open a database session of a role, without any setting of the client."""
    conninfo = psycopg.conninfo.make_conninfo(installation.database.url, user=name, password="")
    return psycopg.connect(conninfo, autocommit=True)


def settings(connection: psycopg.Connection) -> dict[str, str]:
    return {name: str(connection.execute(f"show {name}").fetchone()[0]) for name in LIMITS}  # type: ignore[index]


# Limits


def test_sessions_of_a_new_reader_start_with_the_limits(installed: Installation, name: str) -> None:
    assert readers.add(installed.database, name, []) is False
    with session_of(installed, name) as reader:
        assert settings(reader) == LIMITS
        assert reader.execute("select count(*) from openai_costs.daily_costs").fetchone() == (0,)


def test_adding_a_reader_again_restores_its_limits(installed: Installation, name: str) -> None:
    readers.add(installed.database, name, [])
    with installed.database.connect() as connection:
        role = psycopg.sql.Identifier(name)
        connection.execute(psycopg.sql.SQL("alter role {} in database {} reset all").format(role, _name(connection)))
        connection.execute(psycopg.sql.SQL("alter role {} set statement_timeout = 0").format(role))
    assert readers.add(installed.database, name, []) is True
    with session_of(installed, name) as reader:
        assert settings(reader) == LIMITS


def test_roles_script_sets_the_limits_of_indirect_members(installed: Installation, name: str) -> None:
    """An administrator made the role a member of a team role, which is a member of `openai_costs_reader`."""
    team = f"team {name}"
    installed.run(
        str(psycopg.sql.SQL("create role {} in role openai_costs_reader").format(quoted(team)).as_string()),
        str(psycopg.sql.SQL("create role {} login in role {}").format(quoted(name), quoted(team)).as_string()),
        script(by_organization=False),
    )
    try:
        with session_of(installed, name) as reader:
            assert settings(reader) == LIMITS
    finally:
        drop(installed, team)


def test_database_without_roles_gets_its_first_reader(trust_server: Databases, name: str) -> None:
    # A database on the embedded server usually has no roles, because nobody runs the script of `openai-costs roles`.
    installation = Installation(trust_server.new())
    try:
        readers.add(installation.database, name, [])
        with session_of(installation, name) as reader:
            assert settings(reader) == LIMITS
            reader.execute("select from openai_costs.anomalies")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute("select from openai_costs.cost_rows")
        drop(installation, name)
    finally:
        trust_server.drop(installation.database)


# Privileges


@pytest.mark.parametrize(
    "statement",
    [
        "insert into openai_costs.outbox (dedup_key) values ('x')",
        "update openai_costs.outbox set dedup_key = 'x'",
        "delete from openai_costs.cost_rows",
        "create table openai_costs.mine (id int)",
        "create table public.mine (id int)",
        "create schema mine",
        "select from openai_costs.raw_buckets for share",
        "begin; lock table openai_costs.cost_rows in access share mode",
        "begin; lock table openai_costs.daily_costs in row share mode",
        "set role openai_costs_loader",
        "copy (select 1) to program 'cat'",
        "create temporary table mine (id int)",
        "select lo_from_bytea(0, 'x')",
    ],
)
def test_reader_cannot_write_after_lifting_its_limits(installed: Installation, name: str, statement: str) -> None:
    installed.run(script(by_organization=False, dedicated_database=True))
    readers.add(installed.database, name, [])
    with session_of(installed, name) as reader:
        reader.execute("set default_transaction_read_only = off")
        reader.execute("set statement_timeout = 0")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(statement)


def test_loader_can_create_temporary_tables_in_a_dedicated_database(installed: Installation) -> None:
    installed.run(script(by_organization=False, dedicated_database=True))
    with installed.loader.connect() as connection:
        store(connection, {DAY: [row("1.5")]})


def test_restricted_reader_sees_only_the_given_organizations(by_organization: Installation, name: str) -> None:
    with by_organization.loader.connect() as connection:
        store(connection, {DAY: [row("1.5")]})
    readers.add(by_organization.database, name, ["other"])
    assert readers.sees_nothing(by_organization.database, name) is False
    with session_of(by_organization, name) as reader:
        assert reader.execute("select amount from openai_costs.daily_costs").fetchall() == []
    readers.add(by_organization.database, name, ["acme"])
    with session_of(by_organization, name) as reader:
        assert len(reader.execute("select amount from openai_costs.daily_costs").fetchall()) == 1


def test_restricted_reader_without_organizations_is_reported(by_organization: Installation, name: str) -> None:
    readers.add(by_organization.database, name, [])
    assert readers.sees_nothing(by_organization.database, name) is True


def test_organizations_of_a_reader_need_the_restricted_roles(installed: Installation, name: str) -> None:
    with pytest.raises(errors.ReaderRefused, match="run the script of openai-costs roles --by-organization first"):
        readers.add(installed.database, name, ["acme"])
    assert installed.query("select from pg_roles where rolname like 'Kim%'") == []


@pytest.mark.parametrize(
    "name", ["", "a\0b", "a\nb", "a\x1b[31m", "ж" * 32, "pg_reader", "public", "postgres", "openai_costs_loader"]
)
def test_unusable_names_of_readers_are_refused(installed: Installation, name: str) -> None:
    before = installed.query("select rolname, rolcanlogin from pg_roles order by 1")
    with pytest.raises(errors.ReaderRefused):
        readers.add(installed.database, name, [])
    assert installed.query("select rolname, rolcanlogin from pg_roles order by 1") == before


def test_loader_cannot_add_readers_and_the_error_has_the_remedy(installed: Installation) -> None:
    with pytest.raises(errors.DatabaseRefused, match=r"permission denied.*DATABASE_URL.*administrator.*--sql"):
        readers.add(installed.loader, "kim", [])


# Long transactions


def test_loader_ends_a_long_query_of_a_reader(installed: Installation, name: str) -> None:
    readers.add(installed.database, name, [])
    with closing(session_of(installed, name)) as reader, installed.loader.connect() as connection:
        reader.execute("set statement_timeout = 0")
        # `send_query` returns at once, so the query is still running while the next lines end it.
        reader.pgconn.send_query(b"select pg_sleep(600)")
        assert readers.end_long_transactions(connection) == {}  # The query is younger than the limit of one minute.
        assert readers.end_long_transactions(connection, NOW) == {name: 1}
        result = reader.pgconn.get_result()
        assert result is not None
        assert b"terminating connection due to administrator command" in result.error_message


def test_loader_ends_an_idle_transaction_of_a_reader(installed: Installation, name: str) -> None:
    readers.add(installed.database, name, [])
    with session_of(installed, name) as reader:
        reader.execute("set idle_in_transaction_session_timeout = 0")
        reader.execute("begin")
        reader.execute("select from openai_costs.daily_costs")
        with installed.loader.connect() as connection:
            assert readers.end_long_transactions(connection, NOW) == {name: 1}
        assert isinstance(_failure(reader, "select 1"), psycopg.OperationalError)


def test_transactions_of_other_roles_are_not_ended(installed: Installation) -> None:
    """The superuser, the owner and the loader are members of the reader role, because they manage readers."""
    with (
        installed.database.connect() as superuser,
        installed.owner.connect() as owner,
        installed.loader.connect() as loader,
    ):
        for connection in (superuser, owner, loader):
            connection.execute("begin")
            connection.execute("select 1")
        with installed.loader.connect() as connection:
            assert readers.end_long_transactions(connection, NOW) == {}
        with installed.database.connect() as connection:
            assert readers.end_long_transactions(connection, NOW) == {}
        for connection in (superuser, owner, loader):
            connection.execute("rollback")


def quoted(name: str) -> psycopg.sql.Identifier:
    return psycopg.sql.Identifier(name)


def _name(connection: psycopg.Connection) -> psycopg.sql.Identifier:
    return quoted(connection.info.dbname)


def _failure(connection: psycopg.Connection, statement: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as failure:
        connection.execute(statement)
    return failure.value
