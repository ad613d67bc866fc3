"""Tests of row security: database roles read only the rows of organizations that are granted to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from openai_costs_dagster.warehouse import purge
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.roles import script
from openai_costs_dagster.warehouse.schema import metadata
from openai_costs_dagster.warehouse.statements import view_names

from ..conftest import Databases
from ..installation import Installation
from .sample import HOSTILE_NAME, load

LUMEN, OTHER = "lumen", HOSTILE_NAME
LUMEN_ONLY_VIEWS = {"alerts", "anomalies", "budget_status", "cost_revisions"}


@dataclass(frozen=True)
class Readers:
    """A database with sample data, and four roles with different grants."""

    installation: Installation
    everything: Database
    lumen: Database
    both: Database
    nothing: Database


@pytest.fixture(scope="module")
def readers(
    trust_server: Databases, _installations: dict[bool, Database], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Readers]:
    """Store the sample data with the loader role and create the reader roles."""
    installation = Installation(trust_server.copy(_installations[True]))
    load(installation.loader, tmp_path_factory.mktemp("by_organization"))
    installation.run("analyze")
    yield Readers(
        installation,
        installation.make_reader("reader_of_everything", "*"),
        installation.make_reader("reader_of_lumen", LUMEN),
        installation.make_reader("reader_of_both", LUMEN, OTHER.replace("'", "''")),
        installation.make_reader("reader_of_nothing"),
    )
    trust_server.drop(installation.database)


def organization_column(view: str) -> str:
    return '"x_Organization"' if view == "focus" else "organization"


def fetch_rows(database: Database | Connection, query: str) -> list[tuple[Any, ...]]:
    if isinstance(database, Database):
        with database.connect() as connection:
            return connection.execute(query).fetchall()
    return database.execute(query).fetchall()


def rows(database: Database, view: str, where: str = "true") -> list[str]:
    """Return the rows of a view as text, sorted."""
    text = f"select entry::text from openai_costs.{view} as entry where {where} order by 1"  # noqa: S608  # our own words
    return [row for (row,) in fetch_rows(database, text)]


def test_sample_contains_rows_of_both_organizations(readers: Readers) -> None:
    for view in view_names():
        query = f"select {organization_column(view)} from openai_costs.{view}"  # noqa: S608  # our own names
        organizations = {name for (name,) in fetch_rows(readers.everything, query)}
        assert LUMEN in organizations, view
        assert view in LUMEN_ONLY_VIEWS or OTHER in organizations, view


@pytest.mark.parametrize("view", view_names())
def test_reader_gets_only_rows_of_granted_organizations(readers: Readers, view: str) -> None:
    whole = rows(readers.installation.owner, view)
    assert whole
    assert rows(readers.installation.database, view) == whole
    assert rows(readers.installation.loader, view) == whole
    assert rows(readers.everything, view) == whole
    assert rows(readers.lumen, view) == rows(readers.everything, view, f"{organization_column(view)} = 'lumen'")
    assert rows(readers.nothing, view) == []
    assert rows(readers.installation.reader, view) == []
    # Test alerts belong to no organization, so only the reader of everything gets them.
    has_organization = f"{organization_column(view)} is not null"
    assert rows(readers.both, view) == rows(readers.everything, view, has_organization)


@pytest.mark.parametrize("table", [*sorted(table.name for table in metadata.tables.values()), "reader_organizations"])
def test_reader_gets_no_table_rows_even_with_pg_read_all_data(readers: Readers, table: str) -> None:
    text = f"select * from openai_costs.{table}"  # noqa: S608  # our own names
    with pytest.raises(psycopg.errors.InsufficientPrivilege), psycopg.connect(readers.lumen.url) as connection:
        connection.execute(text)
    known = metadata.tables.get(f"openai_costs.{table}")
    readers.installation.run("grant pg_read_all_data to reader_of_lumen")
    try:
        if known is not None and "organization" in known.columns:
            assert fetch_rows(readers.lumen, text) == []
    finally:
        readers.installation.run("revoke pg_read_all_data from reader_of_lumen")


# Attempts to bypass row security


@pytest.fixture
def lumen(readers: Readers) -> Iterator[Connection]:
    """A session of the role `reader_of_lumen` in which `default_transaction_read_only` is off."""
    with psycopg.connect(readers.lumen.url, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        yield connection


LEAKS = {
    "daily_costs": ("project_id", "amount"),
    "allocated_costs": ("user_email", "project_name"),
    "directory": ("name", "email"),
    "sync_status": ("organization", "last_error"),
    "day_status": ("organization", "amount_usd"),
    "unit_costs": ("organization", "amount"),
    "unit_prices": ("organization", "unit_price"),
    "daily_usage": ("organization", "input_tokens"),
    "alerts": ("message", "given_up"),
    "anomalies": ("organization", "explanation"),
    "model_names": ("organization", "usage_model"),
    "user_totals": ("organization", "user_id"),
    "user_spend": ("user_id", "project_id"),
    "budget_status": ("organization", "budget"),
    "cost_revisions": ("organization", "old_amount"),
    "focus": ('"x_Organization"', '"BillingAccountName"'),
}
"""Columns of each view whose values differ between organizations."""


@pytest.mark.parametrize("reader", ["lumen", "nothing"])
@pytest.mark.parametrize("view", view_names())
def test_cheap_function_in_a_condition_receives_only_granted_rows(readers: Readers, view: str, reader: str) -> None:
    # The planner calls the cheapest function first. Without row security, the function would receive all rows.
    notices: set[str] = set()
    granted = {
        str(value)
        for column in LEAKS[view]
        for (value,) in fetch_rows(
            readers.everything,
            f"select ({column})::text from openai_costs.{view}"  # noqa: S608  # our own words
            f" where {organization_column(view)} = '{'lumen' if reader == 'lumen' else 'nobody'}'",
        )
        if value is not None
    }
    with psycopg.connect(getattr(readers, reader).url, autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: notices.add(str(notice.message_primary)))
        connection.execute("set default_transaction_read_only = off")
        connection.execute(
            "create function pg_temp.print_value(text) returns boolean language plpgsql cost 0.0000001 strict"
            " as $$ begin raise notice '%', $1; return true; end $$"
        )
        for column in LEAKS[view]:
            connection.execute(f"select from openai_costs.{view} where pg_temp.print_value(({column})::text)")
    assert notices <= granted
    assert bool(notices) == bool(granted)


@pytest.mark.parametrize(
    "condition",
    [
        "1 / (amount - amount) > 0 and organization <> 'lumen'",
        "1 / (case when organization <> 'lumen' then 0 else 1 end) > 0",
        "cast(case when organization <> 'lumen' then project_id else '1' end as int) > 0",
    ],
)
def test_errors_do_not_reveal_rows_of_other_organizations(lumen: Connection, condition: str) -> None:
    lumen.execute(f"select count(*) from openai_costs.daily_costs where {condition}")  # noqa: S608  # our own words


def test_readers_cannot_disable_row_security(lumen: Connection) -> None:
    lumen.execute("set row_security = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        lumen.execute("select from openai_costs.daily_costs")


@pytest.mark.parametrize(
    "statement",
    [
        "set role reader_of_everything",
        "set role openai_costs_views",
        "set role openai_costs_owner",
        "set session authorization reader_of_everything",
        "insert into openai_costs.reader_organizations values ('reader_of_lumen', '*')",
        "update openai_costs.reader_organizations set organization = '*'",
        "alter table openai_costs.cost_rows disable row level security",
        "drop policy openai_costs_by_organization on openai_costs.cost_rows",
        "create policy mine on openai_costs.cost_rows using (true)",
        "create or replace view openai_costs.daily_costs as select 1",
        "alter view openai_costs.daily_costs owner to reader_of_lumen",
        "grant reader_of_everything to reader_of_lumen",
        "copy openai_costs.cost_rows to stdout",
    ],
)
def test_reader_cannot_assume_other_roles_or_write(lumen: Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        lumen.execute(statement)


def test_shared_reader_role_grants_no_rows(lumen: Connection) -> None:
    lumen.execute("set role openai_costs_reader")
    assert lumen.execute("select count(*) from openai_costs.daily_costs").fetchone() == (0,)


def test_temporary_objects_of_the_same_name_reveal_no_rows(lumen: Connection, readers: Readers) -> None:
    lumen.execute("create temporary table reader_organizations (reader text, organization text)")
    lumen.execute("insert into pg_temp.reader_organizations values ('reader_of_lumen', '*')")
    lumen.execute(
        "create function pg_temp.pg_has_role(oid, text) returns boolean language sql as 'select true'",
    )
    lumen.execute("set search_path = pg_temp, openai_costs, pg_catalog")
    assert fetch_rows(lumen, "select distinct organization from openai_costs.daily_costs") == [(LUMEN,)]
    lumen.execute("create temporary view mine as select * from openai_costs.daily_costs")
    assert fetch_rows(lumen, "select distinct organization from mine") == [(LUMEN,)]


def test_cached_plan_is_replanned_for_another_role(readers: Readers) -> None:
    with readers.installation.database.connect() as connection:
        connection.execute(
            "prepare organization_count as select count(distinct organization) from openai_costs.daily_costs"
        )
        counts = []
        for role in ("reader_of_both", "reader_of_lumen", "reader_of_nothing", "reader_of_both"):
            connection.execute(f"set role {role}")
            counts += fetch_rows(connection, "execute organization_count")
        connection.execute("reset role")
    assert counts == [(2,), (1,), (0,), (2,)]


def test_planner_statistics_are_hidden_from_readers(lumen: Connection) -> None:
    for catalogue in ("pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"):
        assert fetch_rows(lumen, f"select from {catalogue} where schemaname = 'openai_costs'") == []
    for catalogue in ("pg_statistic", "pg_authid"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            lumen.execute(f"select from {catalogue}")


# Grants that change


def test_rows_are_visible_between_grant_and_revoke(readers: Readers) -> None:
    late = readers.installation.make_reader("reader_without_grant")
    assert rows(late, "sync_status") == []
    readers.installation.run("grant reader_of_lumen to reader_without_grant")
    assert rows(late, "sync_status") == rows(readers.lumen, "sync_status")
    readers.installation.run("revoke reader_of_lumen from reader_without_grant")
    assert rows(late, "sync_status") == []


def test_grant_to_a_missing_role_does_not_affect_others(readers: Readers) -> None:
    readers.installation.run("insert into openai_costs.reader_organizations values ('missing_role', 'lumen')")
    assert rows(readers.lumen, "sync_status")


def test_custom_role_has_the_same_row_security(readers: Readers) -> None:
    readers.installation.run(
        "do $$ begin if to_regrole('a_dashboard') is null then create role a_dashboard login; end if; end $$",
        "grant usage on schema openai_costs to a_dashboard",
        "grant select on openai_costs.daily_costs to a_dashboard",
    )
    assert rows(readers.installation.as_role("a_dashboard"), "daily_costs") == []
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        psycopg.connect(readers.installation.as_role("a_dashboard").url) as connection,
    ):
        connection.execute("select from openai_costs.directory")


# Upgrades and removal of row security


def test_row_security_survives_recreated_views(by_organization: Installation) -> None:
    def state() -> list[tuple[Any, ...]]:
        return by_organization.query(
            "select relname::text, relowner::regrole::text, relrowsecurity, relacl::text from pg_class"
            " where relnamespace = 'openai_costs'::regnamespace and relkind in ('r', 'v') order by 1"
        )

    before = state()
    for database in (by_organization.owner, by_organization.database):
        by_organization.run(
            "drop view openai_costs.daily_costs cascade",
            "update openai_costs.schema_metadata set value = 'of another release' where key = 'views'",
        )
        database.prepare()
        assert [row[:3] for row in state()] == [row[:3] for row in before]
        assert sorted(map(str, state())) == sorted(map(str, before))
    # The plain script does not disable row security that is already enabled.
    by_organization.run(script(by_organization=False))
    assert state() == before


def test_row_security_can_be_disabled_atomically(by_organization: Installation) -> None:
    by_organization.run("insert into openai_costs.organizations (organization) values ('acme')")
    reader = by_organization.make_reader("reader_of_everything", "*")
    assert len(rows(reader, "sync_status")) == 1
    by_organization.run("drop table openai_costs.reader_organizations cascade")
    assert rows(reader, "sync_status") == []
    by_organization.run(script(by_organization=False))
    assert len(rows(reader, "sync_status")) == 1
    assert by_organization.query("select from pg_policies") == []
    assert by_organization.query("select distinct viewowner from pg_views where schemaname = 'openai_costs'") == [
        ("openai_costs_owner",)
    ]
    assert by_organization.query("select from pg_class where relrowsecurity") == []


def test_loader_purges_an_organization_under_row_security(by_organization: Installation) -> None:
    by_organization.run("insert into openai_costs.organizations (organization) values ('acme')")
    with by_organization.loader.connect() as connection:
        assert purge.purge(connection, "acme")["organizations"] == 1
