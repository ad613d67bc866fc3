"""Tests of database addresses: in every form of libpq, costs and the Dagster storage use the same database."""

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import psycopg2  # type: ignore[import-untyped]
import pytest
import sqlalchemy
from psycopg.conninfo import conninfo_to_dict

from openai_costs_dagster.orchestration.runtime.instance import storage_url
from openai_costs_dagster.orchestration.runtime.pooled_engine import engine_of
from openai_costs_dagster.warehouse import errors
from openai_costs_dagster.warehouse.database import Database

from ..conftest import Databases

FORMS = {
    "socket in the query": "postgresql://postgres@/{name}?host={folder}",
    "socket in the host part": "postgresql://postgres@{quoted}/{name}",
    "several hosts": "postgresql://postgres@127.0.0.1:1,{quoted}:5432/{name}?target_session_attrs=read-write",
    "several hosts in the query": "postgres://postgres@/{name}?host=127.0.0.1,{folder}&port=1,5432",
    "one port for several hosts": "postgresql://postgres@/{name}?host={folder},{folder}&port=5432",
    "everything in the query": "postgresql://?host={folder}&user=postgres&dbname={name}",
    "keyword=value pairs": "host={folder} user=postgres dbname={name} password='a b'",
    "spaces around the signs": "host = {folder} user = postgres dbname = {name}",
    "every ssl parameter": "postgresql://postgres@/{name}?host={folder}&sslmode=prefer&sslrootcert=/nowhere&sslcert=/nowhere"
    "&sslkey=/nowhere&sslpassword=hunter2xyz&sslcrl=/nowhere&sslsni=0&ssl_min_protocol_version=TLSv1.2"
    "&sslcertmode=allow&channel_binding=prefer&gssencmode=disable",
    "parameters of ours": "postgresql://postgres@/{name}?host={folder}&client_encoding=latin1&connect_timeout=5"
    "&options=-c%20statement_timeout%3D1%20-csearch_path%3Dpublic&keepalives=0",
}

SHOWN = ("client_encoding", "statement_timeout", "search_path")


@pytest.fixture
def form(request: pytest.FixtureRequest, trust_server: Databases, database: Database) -> str:
    parts = urlsplit(database.url)
    (folder,) = parse_qs(parts.query)["host"]
    return FORMS[request.param].format(name=parts.path[1:], folder=folder, quoted=quote(folder, safe=""))


@pytest.mark.parametrize("form", FORMS, indirect=True)
@pytest.mark.parametrize("databases", ["embedded"], indirect=True)
def test_every_form_reaches_the_database_for_costs_and_for_dagster(form: str) -> None:
    database = Database(form)
    database.prepare()
    query = f"select {', '.join(f'current_setting({name!r})' for name in SHOWN)}"
    with database.connect() as connection:
        assert connection.execute(query).fetchone() == ("UTF8", "0", "pg_catalog")
    engine = engine_of(storage_url(database))
    with engine.connect() as connection_of_dagster:
        assert connection_of_dagster.exec_driver_sql(query).one() == ("UTF8", "0", "openai_costs_dagster")
    engine.dispose()


def parameters_of_dagster(url: str) -> dict[str, Any]:
    """Return the parameters that psycopg2 receives for Dagster's storage, without the defaults of this package."""
    made = sqlalchemy.make_url(storage_url(Database(url)))
    _, keywords = made.get_dialect()().create_connect_args(made)
    return conninfo_to_dict(psycopg2.extensions.make_dsn(**keywords))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:p%40ss%3Aw%2Frd%25%20%27@db.example:5433/costs?sslmode=require",
        "postgres://ann@db.example/costs",
        "postgresql+psycopg://db.example",
        "postgresql://postgres:@/costs?host=/tmp/some%20where/postgres",
        "postgresql://ann:x@[2001:db8::1234]:5433/costs",
        "postgresql://ann:x@[2001:db8::1]/costs",
        "postgresql://h1:5432,[::1]:5433,%2Frun%2Fpg/costs?target_session_attrs=read-write&load_balance_hosts=random",
        "postgresql://h1,h2:5433/costs",
        "postgresql:///?service=costs&passfile=/etc/passfile",
        "host=h1 user=ann password='it\\'s \\\\ hunter' application_name='the costs'",
        "postgresql://ann@h1/costs?sslmode=verify-full&sslrootcert=system&sslnegotiation=direct&require_auth=scram-sha-256",
    ],
)
def test_dagster_connects_with_the_same_parameters(url: str) -> None:
    given = {name: str(value) for name, value in conninfo_to_dict(Database(url).url).items()}
    found = {name: str(value) for name, value in parameters_of_dagster(url).items()}
    assert {name: found[name] for name in given} == given
    assert found["client_encoding"] == "UTF8"
    assert found["options"] == "-csearch_path=openai_costs_dagster -csynchronous_commit=off -ctimezone=UTC"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://ann:hunter2xyz@h1/costs?nonsense=1", 'invalid URI query parameter: "nonsense"'),
        ("host=h1 password=hunter2xyz nonsense", "no list of keyword=value pairs"),
        ("host=h1 password='hunter2xyz", "no list of keyword=value pairs"),
        ("host=h1 password=my hunter2xyz=1", "no list of keyword=value pairs"),
        ("jdbc:postgresql://h1/costs?user=ann&password=hunter2xyz", "must look like postgresql://"),
        ("postgresql://ann:hunter2xyz@127.0.0.1:1/x?sslmode=sometimes", 'invalid sslmode value: "sometimes"'),
        ("postgresql://ann:hunter2xyz@127.0.0.1:1/x?connect_timeout=soon", "connect_timeout"),
        ("postgresql://ann:hunter2xyz@127.0.0.1:port/x", "invalid integer value"),
        ("postgresql://ann:hunter2xyz@127.0.0.1:1,127.0.0.1:2,127.0.0.1/x?port=1,2", "could not match 2 port numbers"),
        ("postgresql://ann:hunter2xyz@/x?service=nowhere", 'definition of service "nowhere" not found'),
        ("postgresql://ann:hunter2xyz@127.0.0.1:1/x?sslnegotiation=direct&sslmode=prefer", "weak sslmode"),
    ],
)
def test_invalid_address_fails_permanently_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(errors.DatabaseRefused, match=reason) as raised:
        Database(url).prepare()
    assert "hunter2xyz" not in str(raised.value)
    assert "running there" not in str(raised.value)


def test_parameter_that_only_one_driver_supports_is_refused_before_any_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make_dsn(**_: str) -> str:
        raise psycopg2.ProgrammingError('invalid dsn: invalid connection option "max_protocol_version"')

    monkeypatch.setattr(psycopg2.extensions, "make_dsn", make_dsn)
    with pytest.raises(
        errors.DatabaseRefused, match=r"psycopg2, which cannot read this address: .*max_protocol_version"
    ):
        storage_url(Database("postgresql://ann:hunter2xyz@127.0.0.1:1/x"))


def test_server_without_ssl_is_refused_if_the_address_requires_ssl(trust_server: Databases, database: Database) -> None:
    parts = urlsplit(database.url)
    (folder,) = parse_qs(parts.query)["host"]
    demanding = Database(f"postgresql://postgres@{quote(folder, safe='')}{parts.path}?require_auth=scram-sha-256")
    with pytest.raises(errors.DatabaseRefused, match="authentication method requirement"):
        demanding.prepare()


def test_application_name_of_each_session_begins_with_that_of_the_address(database: Database) -> None:
    separator = "&" if urlsplit(database.url).query else "?"
    named = Database(f"{database.url}{separator}application_name=finops")
    with named.connect(name="openai-costs acme run 1") as connection:
        assert connection.execute("show application_name").fetchone() == ("finops openai-costs acme run 1",)
