"""Open failures of organizations. A failure alerts once, and once more when it has recovered."""

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
    """A failure since `opened_at`. `announced_at` is the time of its alert, or None before the alert.

    `kind` is ``sync`` or ``late_days``. `days` are the failed UTC days, oldest first.
    """

    kind: OpenFailureKind
    reason: str
    message: str
    severity: Severity
    days: list[dt.date]
    opened_at: dt.datetime
    announced_at: dt.datetime | None


def find(connection: Connection, organization: str, kind: OpenFailureKind) -> OpenFailure | None:
    """Return an open failure, locked until the transaction ends, or None."""
    values = {"organization": organization, "kind": kind}
    with connection.cursor(row_factory=class_row(OpenFailure)) as cursor:
        return cursor.execute(statement("alerts/open_failure"), values).fetchone()


def store(connection: Connection, organization: str, failure: OpenFailure) -> None:
    """Insert or update an open failure."""
    connection.execute(statement("alerts/upsert_open_failure"), {"organization": organization, **asdict(failure)})


def delete(connection: Connection, organization: str, kind: OpenFailureKind) -> None:
    """Delete the open failure of one kind of an organization, after the organization has recovered from the failure."""
    connection.execute(_DELETE, {"organization": organization, "kind": kind})
