"""Anomalies over their days, as far as people were told."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from decimal import Decimal

from psycopg.rows import class_row

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement


@dataclass(frozen=True)
class StoredIncident:
    """An anomaly that goes on or went on; US dollars a day. `incident_id` is None before it is stored."""

    level: str
    project_id: str | None
    service: str | None
    model: str | None
    api_key_id: str | None
    user_id: str | None
    line_item: str | None
    direction: str
    first_day: dt.date
    last_day: dt.date
    alerted_impact: Decimal
    alerted_day: dt.date
    announced: bool
    is_open: bool = True
    incident_id: int | None = None


def recent(connection: Connection, organization: str, since: dt.date) -> list[StoredIncident]:
    """Those that are open or ended on `since` or later."""
    values = {"organization": organization, "since": since}
    with connection.cursor(row_factory=class_row(StoredIncident)) as cursor:
        return cursor.execute(statement("recent_incidents"), values).fetchall()


def keep(connection: Connection, organization: str, incident: StoredIncident) -> None:
    """Stores a new one, or what changed about a known one."""
    query = "open_incident" if incident.incident_id is None else "change_incident"
    connection.execute(statement(query), {"organization": organization, **asdict(incident)})
