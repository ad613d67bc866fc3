"""Organizations that were ever onboarded, with their OpenAI id, the first day of their history and their last error."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from openai_costs_dagster.warehouse import errors
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement


@dataclass(frozen=True)
class StoredOrganization:
    """An organization in the database, under its configured name. Days are UTC."""

    organization: str
    openai_organization_id: str | None
    start_date: dt.date | None
    earliest_day: dt.date | None
    onboarded_at: dt.datetime | None = None
    """The time of the onboarding, at which `earliest_day` was the first day that the API served."""


def schema_exists(connection: Connection) -> bool:
    """Return whether the database has the schema `openai_costs`."""
    row = connection.execute(statement("session/schema_exists")).fetchone()
    return bool(row and row[0])


def find(connection: Connection, organization: str) -> StoredOrganization | None:
    """Return an organization by its configured name, or None."""
    return next((known for known in all_organizations(connection) if known.organization == organization), None)


def all_organizations(connection: Connection) -> list[StoredOrganization]:
    """Return all organizations that were ever registered, by name."""
    with connection.cursor(row_factory=class_row(StoredOrganization)) as cursor:
        return cursor.execute(statement("organizations/all")).fetchall()


def register(
    connection: Connection, organization: str, *, display_name: str | None, start_date: dt.date | None
) -> None:
    """Insert an organization, or update its configured display name and start date."""
    with connection.transaction():
        connection.execute(
            statement("organizations/upsert"),
            {"organization": organization, "display_name": display_name, "start_date": start_date},
        )


def bind_openai_organization(connection: Connection, organization: str, openai_organization_id: str) -> None:
    """Record the OpenAI organization that the key of a configured name belongs to.

    Raises `SharedOrganization` if another name has the same OpenAI organization, and `OrganizationChanged` if the name
    had another OpenAI organization before.
    """
    known = find(connection, organization)
    if known and known.openai_organization_id == openai_organization_id:
        return
    if known and known.openai_organization_id:
        raise errors.OrganizationChanged(
            f"{organization} was {known.openai_organization_id} until now and its key reads {openai_organization_id}: "
            f"give the new one a name of its own, or remove the old one with openai-costs remove {organization} --purge"
        )
    try:
        with connection.transaction():
            connection.execute(
                statement("organizations/set_openai_id"),
                {"organization": organization, "openai_organization_id": openai_organization_id},
            )
    # Only the unique index decides reliably, because another process may register the same organization at this moment.
    except psycopg.errors.UniqueViolation:
        other = next(
            other.organization
            for other in all_organizations(connection)
            if other.openai_organization_id == openai_organization_id
        )
        raise errors.SharedOrganization(
            f"{organization} and {other} are one OpenAI organization ({openai_organization_id}), "
            "which would be counted twice: keep one of the two names"
        ) from None


def record_onboarding(connection: Connection, organization: str, earliest_day: dt.date, now: dt.datetime) -> None:
    """Store the first day that the API serves. A stored day is never replaced."""
    with connection.transaction():
        connection.execute(
            statement("organizations/set_earliest_day"),
            {"organization": organization, "earliest_day": earliest_day, "now": now},
        )


def postpone_earliest_day(connection: Connection, organization: str, earliest_day: dt.date, now: dt.datetime) -> None:
    """Move the first day of an organization to a later day, unless an earlier day is stored."""
    with connection.transaction():
        connection.execute(
            statement("organizations/postpone_earliest_day"),
            {"organization": organization, "earliest_day": earliest_day, "now": now},
        )


def record_success(connection: Connection, organization: str, now: dt.datetime) -> None:
    """Record that a run stored all requested days, and clear the last error."""
    connection.execute(statement("organizations/record_success"), {"organization": organization, "now": now})


def record_failure(
    connection: Connection, organization: str, message: str, now: dt.datetime, *, permanent: bool
) -> None:
    """Record the failure of a run. `message` must contain no secrets."""
    connection.execute(
        statement("organizations/record_failure"),
        {"organization": organization, "message": message, "now": now, "permanent": permanent},
    )


def claim_first_evaluation(connection: Connection, organization: str, run_id: str) -> str | None:
    """Return the run that first evaluated any day of an organization. If there is none, record `run_id` as that run."""
    values = {"organization": organization, "run_id": run_id}
    row = connection.execute(statement("organizations/claim_first_evaluation"), values).fetchone()
    return row[0] if row else None
