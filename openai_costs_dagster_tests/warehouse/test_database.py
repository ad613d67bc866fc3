"""Tests of database connections: supported URLs, session settings, and error messages without passwords."""

from collections.abc import Callable
from urllib.parse import quote, urlsplit

import hypothesis.strategies as st
import psycopg
import pytest
from hypothesis import given

from openai_costs_dagster.warehouse import errors, failures
from openai_costs_dagster.warehouse.address import normalized_url
from openai_costs_dagster.warehouse.database import Database

NOBODY_LISTENS = "127.0.0.1:1"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_usual_form_of_the_url_connects(database: Database, scheme: str) -> None:
    usual = Database(f" {urlsplit(database.url)._replace(scheme=scheme).geturl()}\n")
    with usual.connect() as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("url", ["mysql://db.example/costs", "sqlite:///costs.db", "db.example/costs", ""])
def test_url_of_another_database_system_is_refused_with_the_expected_form(url: str) -> None:
    with pytest.raises(errors.DatabaseRefused, match="must look like postgresql://user:password@host:5432/database"):
        normalized_url(url)


def test_unknown_libpq_parameter_is_refused() -> None:
    # Prisma and other tools write this parameter into DATABASE_URL.
    with pytest.raises(errors.DatabaseRefused, match="pgbouncer"):
        Database(f"postgresql://{NOBODY_LISTENS}/x?pgbouncer=true").prepare()


def test_session_has_utc_an_application_name_and_the_given_options(database: Database) -> None:
    separator = "&" if urlsplit(database.url).query else "?"
    given = Database(f"{database.url}{separator}options=-c%20work_mem%3D5MB%20-c%20timezone%3DAsia/Tokyo")
    with given.connect(name="n" * 100) as connection:
        shown = [connection.execute(f"show {name}").fetchone() for name in ("timezone", "work_mem", "application_name")]
    assert shown == [("UTC",), ("5MB",), ("n" * 63,)]


def test_unreachable_server_is_unavailable_and_missing_database_is_refused(database: Database) -> None:
    with pytest.raises(errors.DatabaseUnavailable, match="is PostgreSQL running there"):
        Database(f"postgresql://{NOBODY_LISTENS}/x").prepare()
    missing = Database(urlsplit(database.url)._replace(path="/no_such_database").geturl())
    with pytest.raises(errors.DatabaseRefused, match="check DATABASE_URL"), missing.connect():
        pass


def test_connection_lost_during_use_is_unavailable(database: Database) -> None:
    with pytest.raises(errors.DatabaseUnavailable), database.connect() as connection:
        connection.execute("select pg_terminate_backend(pg_backend_pid())")


@pytest.mark.parametrize(
    ("state", "kind", "condition"),
    [
        ("53100", errors.DatabaseUnavailable, "the disk of the PostgreSQL server is full: free space there"),
        ("25006", errors.DatabaseRefused, "does not accept writes: use the address of the primary server"),
        ("57P03", errors.DatabaseUnavailable, "cannot be used: raised with state 57P03"),
    ],
)
def test_error_of_the_server_is_reported_in_one_sentence(
    database: Database, state: str, kind: type[errors.WarehouseError], condition: str
) -> None:
    with pytest.raises(kind, match=condition) as failure, database.connect() as connection:
        connection.execute(f"do $$ begin raise sqlstate '{state}' using message = 'raised with state {state}'; end $$")
    assert "\n" not in str(failure.value)


def test_write_in_a_read_only_session_has_the_remedy(database: Database) -> None:
    with (
        pytest.raises(errors.DatabaseRefused, match=r"does not accept writes.*default_transaction_read_only"),
        _read_only(database).connect() as connection,
    ):
        connection.execute("delete from openai_costs.line_items")


def test_message_of_libpq_with_several_lines_becomes_one_line(database: Database) -> None:
    error = psycopg.OperationalError("server closed the connection unexpectedly\n\tThis probably means\n\tthe server")
    assert "unexpectedly This probably means the server" in str(failures.of_use(error, database.address))


def test_read_only_session_is_refused(empty_database: Database) -> None:
    with pytest.raises(errors.DatabaseRefused, match="read-only"):
        _read_only(empty_database).prepare()


def _read_only(database: Database) -> Database:
    separator = "&" if urlsplit(database.url).query else "?"
    return Database(f"{database.url}{separator}options=-c%20default_transaction_read_only%3Don")


def test_old_server_is_refused_with_the_required_version(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai_costs_dagster.warehouse.server_checks.OLDEST_SERVER", 99)
    with pytest.raises(errors.DatabaseTooOld, match=r"^PostgreSQL \d\d is too old: 99 or newer is needed$"):
        database.prepare()


def texts_of_database(url: str) -> str:
    """Return all texts that a database with this URL shows: its representation, its safe URL and its errors."""
    texts: list[str] = []
    attempts: list[Callable[[], object]] = [
        lambda: texts.append(repr(Database(url))),
        lambda: texts.append(Database(url).safe_url),
        lambda: Database(url).prepare(),
    ]
    for attempt in attempts:
        try:
            attempt()
        except (errors.WarehouseError, psycopg.Error) as error:
            texts += [str(error), repr(error)]
    return "\n".join(texts)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:hunter2xyz@{NOBODY_LISTENS}/x",
        f"postgresql+psycopg2://ann:hunter2xyz@{NOBODY_LISTENS}/x",
        f"postgresql://:hunter2xyz@{NOBODY_LISTENS}/x",
        f"postgresql://ann@{NOBODY_LISTENS}/x?password=hunter2xyz&connect_timeout=2",
        f"postgresql://{NOBODY_LISTENS}/x?user=ann&password=hunter2xyz",
        "postgresql://ann:hunter2xyz@127.0.0.1:port/x",
        # Unescaped special characters: the URL parser takes part of the password for another part of the URL.
        f"postgresql://ann:100%hunter2xyz@{NOBODY_LISTENS}/x",
        f"postgresql://ann:a@hunter2xyz@{NOBODY_LISTENS}/x",
        f"postgresql://ann:hunter2xyz@b@{NOBODY_LISTENS}/x",
        f"postgresql://ann:hunter2xyz:b@{NOBODY_LISTENS}/x",
        f"postgresql://ann:hunter2xyz/b@{NOBODY_LISTENS}/x",
        f"postgresql://ann:hunter2xyz?b@{NOBODY_LISTENS}/x",
        f"postgresql://ann:hunter2xyz#b@{NOBODY_LISTENS}/x",
        # Values that are no URL: libpq's key=value form, or another secret in the wrong variable.
        "password=hunter2xyz host=127.0.0.1",
        "hunter2xyz",
    ],
)
def test_password_is_in_no_representation_and_no_error(url: str) -> None:
    assert "hunter2xyz" not in texts_of_database(url)


@given(password=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=6))
def test_escaped_password_is_never_shown(password: str) -> None:
    secret = quote(password, safe="")
    database = Database(f"postgresql://ann:{secret}@db.invalid/x")
    assert secret not in repr(database)
    assert database.safe_url == "postgresql://ann:...@db.invalid/x"
