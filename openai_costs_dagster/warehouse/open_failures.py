"""Reads and writes the table `open_failures`: the failures of organizations that have not recovered yet.

An open failure sends one alert, and another alert when the organization has recovered.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass

from psycopg.rows import class_row

from openai_costs_dagster.records import OpenFailureKind, Severity
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

_DELETE = "delete from openai_costs.open_failures where organization = %(organization)s and kind = %(kind)s"


@dataclass(frozen=True)
class OpenFailure:
    """A failure of an organization that has lasted since `opened_at`.

    `kind` is ``sync`` (the synchronization of costs failed) or ``late_days`` (costs are older than expected). `days`
    are the failed UTC days, oldest first. `announced_at` is the time of the alert about the failure, or None before it.
    """

    kind: OpenFailureKind
    reason: str
    message: str
    severity: Severity
    days: list[dt.date]
    opened_at: dt.datetime
    announced_at: dt.datetime | None


def find(connection: Connection, organization: str, kind: OpenFailureKind) -> OpenFailure | None:
    """Return an organization's open failure of one kind, or None if no failure is open.

    The row is locked until the transaction ends, so that two runs do not send the same alert.
    """
    values = {"organization": organization, "kind": kind}
    with connection.cursor(row_factory=class_row(OpenFailure)) as cursor:
        return cursor.execute(statement("alerts/open_failure"), values).fetchone()


def store(connection: Connection, organization: str, failure: OpenFailure) -> None:
    """Store an open failure of an organization. Replaces the stored failure of the same kind."""
    connection.execute(statement("alerts/upsert_open_failure"), {"organization": organization, **asdict(failure)})


def delete(connection: Connection, organization: str, kind: OpenFailureKind) -> None:
    """Delete the open failure of one kind of an organization, after the organization has recovered from the failure."""
    connection.execute(_DELETE, {"organization": organization, "kind": kind})
