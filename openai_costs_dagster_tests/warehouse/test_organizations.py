"""Tests of the registration of organizations and their binding to OpenAI organizations."""

import datetime as dt

import pytest

from openai_costs_dagster.warehouse import errors, organizations
from openai_costs_dagster.warehouse.database import Connection, Database

from ..conftest import NOW
from .windows import DAY


def register(connection: Connection, name: str, display_name: str | None = None) -> None:
    organizations.register(connection, name, display_name=display_name, start_date=None)


def test_empty_database_has_no_organizations(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        assert not organizations.schema_exists(connection)
    empty_database.prepare()
    with empty_database.connect() as connection:
        assert organizations.schema_exists(connection)
        assert organizations.all_organizations(connection) == []


def test_registering_again_updates_the_configuration_only(connection: Connection) -> None:
    register(connection, "acme")
    organizations.bind_openai_organization(connection, "acme", "org-A")
    organizations.record_onboarding(connection, "acme", DAY, NOW)
    organizations.register(connection, "acme", display_name="Acme Inc.", start_date=DAY)
    assert organizations.find(connection, "acme") == organizations.StoredOrganization(
        "acme", "org-A", start_date=DAY, earliest_day=DAY, onboarded_at=NOW
    )


def test_two_names_for_one_organization_are_refused_and_both_are_named(connection: Connection) -> None:
    for name in ("acme", "acme-again"):
        register(connection, name)
    organizations.bind_openai_organization(connection, "acme", "org-A")
    organizations.bind_openai_organization(connection, "acme", "org-A")
    with pytest.raises(errors.SharedOrganization, match=r"acme-again and acme are one OpenAI organization \(org-A\)"):
        organizations.bind_openai_organization(connection, "acme-again", "org-A")
    known = organizations.find(connection, "acme-again")
    assert known
    assert known.openai_organization_id is None


def test_key_of_another_organization_is_refused(connection: Connection) -> None:
    register(connection, "acme")
    organizations.bind_openai_organization(connection, "acme", "org-A")
    with pytest.raises(errors.OrganizationChanged, match=r"acme was org-A until now and its key reads org-B.*--purge"):
        organizations.bind_openai_organization(connection, "acme", "org-B")
    known = organizations.find(connection, "acme")
    assert known
    assert known.openai_organization_id == "org-A"


def test_earliest_day_of_the_onboarding_never_changes(connection: Connection) -> None:
    register(connection, "acme")
    organizations.record_onboarding(connection, "acme", DAY, NOW)
    organizations.record_onboarding(connection, "acme", DAY + dt.timedelta(days=30), NOW + dt.timedelta(days=30))
    found = connection.execute("select earliest_day, onboarded_at from openai_costs.organizations").fetchall()
    assert found == [(DAY, NOW)]


def test_success_clears_the_last_error(connection: Connection) -> None:
    register(connection, "acme")
    organizations.record_failure(connection, "acme", "the key is gone", NOW, permanent=True)
    query = "select last_error, last_error_at, last_error_is_permanent, last_success_at from openai_costs.organizations"
    assert connection.execute(query).fetchall() == [("the key is gone", NOW, True, None)]
    organizations.record_success(connection, "acme", NOW)
    assert connection.execute(query).fetchall() == [(None, None, None, NOW)]
