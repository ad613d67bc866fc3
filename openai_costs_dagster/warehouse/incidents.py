"""Reads and writes incidents. An incident groups the anomalies of one series of spend on consecutive days.

An incident also holds the impact at its latest alert, which decides whether a growing anomaly alerts again.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict

from openai_costs_dagster.records import Incident
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.series_rows import series_row
from openai_costs_dagster.warehouse.statements import statement


def recent(connection: Connection, organization: str, since: dt.date) -> list[Incident]:
    """Return an organization's incidents that are open or whose last day is `since` or later."""
    values = {"organization": organization, "since": since}
    with connection.cursor(row_factory=series_row(Incident)) as cursor:
        return cursor.execute(statement("anomalies/recent_incidents"), values).fetchall()


def store(connection: Connection, organization: str, incident: Incident) -> None:
    """Store an incident: insert it if it has no `incident_id` yet, and update the stored incident otherwise."""
    query = "anomalies/insert_incident" if incident.incident_id is None else "anomalies/update_incident"
    connection.execute(
        statement(query), {**asdict(incident), **incident.series.columns(), "organization": organization}
    )
