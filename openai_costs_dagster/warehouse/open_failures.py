"""What does not work now, by organization: told once, and told again when it works."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass

from psycopg.rows import class_row

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

_DELETE = "delete from openai_costs.open_failures where organization = %(organization)s and kind = %(kind)s"


@dataclass(frozen=True)
class OpenFailure:
    """Something that fails since `opened_at`; `announced_at` is null as long as nobody was told.

    `days` are those that failed.
    """

    kind: str
    reason: str
    message: str
    severity: str
    days: list[dt.date]
    opened_at: dt.datetime
    announced_at: dt.datetime | None


def find(connection: Connection, organization: str, kind: str) -> OpenFailure | None:
    """What is known of it, locked until the transaction ends; None where it works."""
    values = {"organization": organization, "kind": kind}
    with connection.cursor(row_factory=class_row(OpenFailure)) as cursor:
        return cursor.execute(statement("alerts/open_failure"), values).fetchone()


def store(connection: Connection, organization: str, trouble: OpenFailure) -> None:
    """Stores what is known of it."""
    connection.execute(statement("alerts/upsert_open_failure"), {"organization": organization, **asdict(trouble)})


def delete(connection: Connection, organization: str, kind: str) -> None:
    """It works again."""
    connection.execute(_DELETE, {"organization": organization, "kind": kind})
