"""Tests of settings of a server, a database or a role: sessions override the settings or fail with a clear message."""

import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from openai_costs_dagster.warehouse import errors, failures
from openai_costs_dagster.warehouse.database import Database

from ..conftest import Databases
from .windows import DAY, row, store, stored

WITHOUT_EFFECT = {
    "statement_timeout": ("3s", "0"),
    "lock_timeout": ("3s", "0"),
    "idle_in_transaction_session_timeout": ("3s", "0"),
    "idle_session_timeout": ("3s", "0"),
    "transaction_timeout": ("3s", "0"),
    "client_encoding": ("LATIN1", "UTF8"),
    "timezone": ("Asia/Kathmandu", "UTC"),
    "datestyle": ("German, DMY", "ISO, MDY"),
    "intervalstyle": ("iso_8601", "postgres"),
    "bytea_output": ("escape", "hex"),
    "extra_float_digits": ("-15", "1"),
    "standard_conforming_strings": ("off", "on"),
    "array_nulls": ("off", "on"),
    "transform_null_equals": ("on", "off"),
    "quote_all_identifiers": ("on", "off"),
    "row_security": ("off", "on"),
    "exit_on_error": ("on", "off"),
    "default_transaction_isolation": ("serializable", "read committed"),
    "session_replication_role": ("replica", "origin"),
    "restrict_nonsystem_relation_kind": ("view", ""),
    "search_path": ("shadow, pg_catalog", "pg_catalog"),
}
"""The value that an administrator sets, and the value in sessions of this package, by name of the setting."""

HARMLESS = {
    "backslash_quote": "off",
    "client_min_messages": "debug1",
    "default_transaction_deferrable": "on",
    "enable_seqscan": "off",
    "log_statement": "all",
    "plan_cache_mode": "force_generic_plan",
    "synchronous_commit": "off",
    "temp_buffers": "800kB",
    "work_mem": "64kB",
}
NAME = "Łódź, 東京, 🧾"


@pytest.fixture
def unusual_database(databases: Databases, empty_database: Database) -> Database:
    """A database with all settings at once, and with a schema that shadows names of this package in the search path."""
    with psycopg.connect(empty_database.url, autocommit=True) as connection:
        known = {name for (name,) in connection.execute("select lower(name) from pg_settings").fetchall()}
        connection.execute("create schema shadow")
        connection.execute("create table shadow.staged_rows (nothing text)")
        connection.execute("create table shadow.runs (nothing text)")
        connection.execute("create function shadow.sum(numeric) returns numeric language sql as 'select 1.0'")
    expected = {name: given for name, (given, _) in WITHOUT_EFFECT.items()} | HARMLESS
    for name in expected.keys() & known:
        is_list = name in {"search_path", "datestyle"}
        value = expected[name] if is_list else f"'{expected[name]}'"
        alter(databases, empty_database, f"set {name} = {value}")
    return empty_database


def alter(databases: Databases, database: Database, change: str) -> None:
    """Change a setting of a database as its administrator does."""
    name = urlsplit(database.url).path[1:]
    databases.administrator.execute(f"alter database {name} {change}")


def test_sessions_have_their_own_settings_over_those_of_the_administrator(unusual_database: Database) -> None:
    with unusual_database.connect() as connection:
        query = "select name, current_setting(name, true) from unnest(%s::text[]) as name"
        found = dict(connection.execute(query, (list(WITHOUT_EFFECT),)).fetchall())
    assert found == {name: ours for name, (_, ours) in WITHOUT_EFFECT.items() if found[name] is not None}


def test_unusual_database_is_prepared_and_loaded(unusual_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    monkeypatch.setenv("PGDATESTYLE", "SQL, DMY")
    unusual_database.prepare()
    rows = [row("0.00000000000000000000000000000000012", NAME), row(None, "a\\b\tc'd", None)]
    with unusual_database.connect() as connection:
        store(connection, {DAY: rows})
        assert stored(connection) == {DAY: rows}


@pytest.mark.parametrize("encoding", ["LATIN1", "LATIN9", "SQL_ASCII", "WIN1252", "EUC_JP", "MULE_INTERNAL"])
def test_database_of_another_encoding_is_refused(databases: Databases, encoding: str) -> None:
    database = databases.new(prepared=False, options=f"encoding '{encoding}' locale 'C'")
    with pytest.raises(errors.DatabaseRefused, match=r"ENCODING 'UTF8' TEMPLATE template0") as refusal:
        database.prepare()
    assert encoding in str(refusal.value)
    assert schemas(database) == []


def schemas(database: Database) -> list[str]:
    """Return the schemas that PostgreSQL did not create itself."""
    with psycopg.connect(database.url, client_encoding="SQL_ASCII") as connection:
        found = connection.execute(
            "select nspname::text::bytea from pg_namespace where nspname !~ '^(pg_|information_)'"
        )
        return sorted(bytes(name).decode() for (name,) in found.fetchall() if name != b"public")


@pytest.fixture
def role(trust_server: Databases) -> Iterator[str]:
    """A role that may log in and has no other privilege."""
    name = f"openai_costs_test_{uuid.uuid4().hex[:12]}"
    trust_server.administrator.execute(f"create role {name} login")
    yield name
    trust_server.administrator.execute(f"drop owned by {name}")
    trust_server.administrator.execute(f"drop role {name}")


@pytest.fixture
def database_of_role(trust_server: Databases, role: str) -> Iterator[Database]:
    """An empty database, opened as a role that may create schemas in it."""
    database = trust_server.new(prepared=False)
    alter(trust_server, database, f"owner to {role}")
    yield Database(database.url.replace("postgres:@", f"{role}:@"))
    trust_server.drop(database)


def test_role_without_other_privileges_can_prepare_a_database(database_of_role: Database) -> None:
    database_of_role.prepare()
    assert "openai_costs" in schemas(database_of_role)


@pytest.mark.parametrize(
    ("statement", "remedy"),
    [
        ("revoke temporary on database {database} from public, {role}", "GRANT TEMPORARY ON DATABASE"),
        ("revoke create on database {database} from {role}", "GRANT CREATE ON DATABASE"),
        ("alter database {database} set default_transaction_read_only = on", "default_transaction_read_only"),
        ("alter role {role} set default_transaction_read_only = on", "default_transaction_read_only"),
    ],
)
def test_user_without_a_needed_right_is_refused_with_the_remedy(
    trust_server: Databases, database_of_role: Database, role: str, statement: str, remedy: str
) -> None:
    name = urlsplit(database_of_role.url).path[1:]
    trust_server.administrator.execute(statement.format(database=name, role=role))
    with pytest.raises(errors.DatabaseRefused, match=remedy):
        database_of_role.prepare()
    with pytest.raises(errors.DatabaseRefused, match=remedy):
        database_of_role.check_privileges()
    assert schemas(database_of_role) == []


@pytest.mark.parametrize(
    ("statement", "failure"),
    [
        ("alter role {role} connection limit 0", errors.DatabaseUnavailable),
        ("alter database {database} connection limit 0", errors.DatabaseUnavailable),
        ("alter role {role} nologin", errors.DatabaseRefused),
        ("revoke connect on database {database} from public, {role}", errors.DatabaseRefused),
    ],
)
def test_limits_of_connections_are_transient_and_refused_logins_permanent(
    trust_server: Databases, database_of_role: Database, role: str, statement: str, failure: type[errors.WarehouseError]
) -> None:
    name = urlsplit(database_of_role.url).path[1:]
    trust_server.administrator.execute(statement.format(database=name, role=role))
    with pytest.raises(failure) as raised:
        database_of_role.prepare()
    assert "running there" not in str(raised.value)


@pytest.mark.parametrize(
    "failing", ["select pg_cancel_backend(pg_backend_pid())", "select pg_terminate_backend(pg_backend_pid())"]
)
def test_interrupted_session_is_transient_and_quotes_the_server(database: Database, failing: str) -> None:
    quoted = r"canceling statement|terminating connection"
    with pytest.raises(errors.DatabaseUnavailable, match=quoted) as raised, database.connect() as connection:
        connection.execute(failing)
    assert "running there" not in str(raised.value)


@pytest.mark.parametrize(
    ("state", "failure"),
    [
        ("57014", errors.DatabaseUnavailable),
        ("57P01", errors.DatabaseUnavailable),
        ("53300", errors.DatabaseUnavailable),
        ("53100", errors.DatabaseUnavailable),
        ("40001", errors.DatabaseUnavailable),
        ("25P03", errors.DatabaseUnavailable),
        ("25P04", errors.DatabaseUnavailable),
        ("55P03", errors.DatabaseUnavailable),
        ("25006", errors.DatabaseRefused),
        ("42501", errors.DatabaseRefused),
        ("54000", errors.DatabaseRefused),
        ("22P05", errors.DatabaseRefused),
        ("42601", None),
        (None, None),
    ],
)
def test_each_sqlstate_has_one_failure_class(state: str | None, failure: type[errors.WarehouseError] | None) -> None:
    assert failures.of_state(state) is failure
