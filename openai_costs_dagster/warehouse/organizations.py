"""The organizations that were ever contacted: who they are at OpenAI, since when they are read, how it went last."""

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
    """What is known of a configured name; days are UTC."""

    organization: str
    openai_organization_id: str | None
    start_date: dt.date | None
    earliest_day: dt.date | None
    onboarded_at: dt.datetime | None = None
    """When `earliest_day` was the earliest day that the API served."""


def schema_exists(connection: Connection) -> bool:
    """Whether the schema was ever made here."""
    row = connection.execute(statement("session/schema_exists")).fetchone()
    return bool(row and row[0])


def find(connection: Connection, organization: str) -> StoredOrganization | None:
    """What is known of one name, or None."""
    return next((known for known in all_organizations(connection) if known.organization == organization), None)


def all_organizations(connection: Connection) -> list[StoredOrganization]:
    """All names that were ever contacted, in order."""
    with connection.cursor(row_factory=class_row(StoredOrganization)) as cursor:
        return cursor.execute(statement("organizations/all")).fetchall()


def register(
    connection: Connection, organization: str, *, display_name: str | None, start_date: dt.date | None
) -> None:
    """Makes a name known, or brings what is configured about it up to date."""
    connection.execute(
        statement("organizations/upsert"),
        {"organization": organization, "display_name": display_name, "start_date": start_date},
    )


def bind_openai_organization(connection: Connection, organization: str, openai_organization_id: str) -> None:
    """Binds a name to the OpenAI organization that its key reads.

    Raises SharedOrganization where another name has it, OrganizationChanged where the name had another.
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
        connection.execute(
            statement("organizations/set_openai_id"),
            {"organization": organization, "openai_organization_id": openai_organization_id},
        )
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
    """Stores the earliest day that the API serves; the first one stored stays for ever."""
    connection.execute(
        statement("organizations/set_earliest_day"),
        {"organization": organization, "earliest_day": earliest_day, "now": now},
    )


def postpone_earliest_day(connection: Connection, organization: str, earliest_day: dt.date, now: dt.datetime) -> None:
    """Moves an organization's beginning to the day that the API names now, as long as nothing before it is stored."""
    connection.execute(
        statement("organizations/postpone_earliest_day"),
        {"organization": organization, "earliest_day": earliest_day, "now": now},
    )


def record_success(connection: Connection, organization: str, now: dt.datetime) -> None:
    """Notes that a run stored all that it was asked for."""
    connection.execute(statement("organizations/record_success"), {"organization": organization, "now": now})


def record_failure(
    connection: Connection, organization: str, message: str, now: dt.datetime, *, permanent: bool
) -> None:
    """Notes why a run failed, in a message without secrets."""
    connection.execute(
        statement("organizations/record_failure"),
        {"organization": organization, "message": message, "now": now, "permanent": permanent},
    )


def claim_first_evaluation(connection: Connection, organization: str, run_id: str) -> str | None:
    """The run that was the first to judge any day, which this one becomes where there was none."""
    values = {"organization": organization, "run_id": run_id}
    row = connection.execute(statement("organizations/claim_first_evaluation"), values).fetchone()
    return row[0] if row else None
