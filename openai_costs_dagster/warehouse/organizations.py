"""Reads and writes the table `organizations`: one row per configured name that was ever onboarded.

A row holds the OpenAI organization id, the first day of the organization's history, and the error of its latest run.
"""

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
    """A row of the table `organizations`. `organization` is the configured name, and days are UTC days."""

    organization: str
    openai_organization_id: str | None
    start_date: dt.date | None
    earliest_day: dt.date | None
    onboarded_at: dt.datetime | None = None
    """The time at which OpenAI's API reported `earliest_day` as the first day that it serves."""


def schema_exists(connection: Connection) -> bool:
    """Return whether the database contains the schema `openai_costs`, that is, whether it was ever prepared."""
    row = connection.execute(statement("session/schema_exists")).fetchone()
    return bool(row and row[0])


def find(connection: Connection, organization: str) -> StoredOrganization | None:
    """Return the organization with the configured name `organization`, or None if this name was never registered."""
    return next((known for known in all_organizations(connection) if known.organization == organization), None)


def all_organizations(connection: Connection) -> list[StoredOrganization]:
    """Return all organizations that were ever registered, ordered by configured name."""
    with connection.cursor(row_factory=class_row(StoredOrganization)) as cursor:
        return cursor.execute(statement("organizations/all")).fetchall()


def register(
    connection: Connection, organization: str, *, display_name: str | None, start_date: dt.date | None
) -> None:
    """Insert an organization, or update the stored display name and start date of an existing one."""
    with connection.transaction():
        connection.execute(
            statement("organizations/upsert"),
            {"organization": organization, "display_name": display_name, "start_date": start_date},
        )


def bind_openai_organization(connection: Connection, organization: str, openai_organization_id: str) -> None:
    """Store the id of the OpenAI organization to which the admin key of a configured name belongs.

    Raises `SharedOrganization` if another configured name is stored with the same id, and `OrganizationChanged` if this
    name is stored with another id.
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
    # Another process may store the same id under another name at this moment. A query before the update could miss
    # this, so the unique index decides.
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
    """Store `earliest_day` as the first day of an organization's history, unless a first day is already stored."""
    with connection.transaction():
        connection.execute(
            statement("organizations/set_earliest_day"),
            {"organization": organization, "earliest_day": earliest_day, "now": now},
        )


def postpone_earliest_day(connection: Connection, organization: str, earliest_day: dt.date, now: dt.datetime) -> None:
    """Move the first day of an organization's history to the later day `earliest_day`.

    Does nothing if costs of a day before `earliest_day` are stored, because Dagster would lose the partition of this
    day.
    """
    with connection.transaction():
        connection.execute(
            statement("organizations/postpone_earliest_day"),
            {"organization": organization, "earliest_day": earliest_day, "now": now},
        )


def record_success(connection: Connection, organization: str, now: dt.datetime) -> None:
    """Store the time of a run that stored all requested days, and clear the error of earlier runs."""
    connection.execute(statement("organizations/record_success"), {"organization": organization, "now": now})


def record_failure(
    connection: Connection, organization: str, message: str, now: dt.datetime, *, permanent: bool
) -> None:
    """Store the failure of a run as the organization's last error. `message` must contain no secrets.

    `permanent` is whether a person has to act before another run can succeed.
    """
    connection.execute(
        statement("organizations/record_failure"),
        {"organization": organization, "message": message, "now": now, "permanent": permanent},
    )


def claim_first_evaluation(connection: Connection, organization: str, run_id: str) -> str | None:
    """Return the id of the Dagster run that first searched the organization's days for unusual spend.

    If no run has done so yet, stores `run_id` as the first run and returns it.
    """
    values = {"organization": organization, "run_id": run_id}
    row = connection.execute(statement("organizations/claim_first_evaluation"), values).fetchone()
    return row[0] if row else None
