"""Incidents: anomalies of a series over consecutive days, and their latest alert."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict

from openai_costs_dagster.records import Incident
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.series_rows import series_row
from openai_costs_dagster.warehouse.statements import statement


def recent(connection: Connection, organization: str, since: dt.date) -> list[Incident]:
    """Return the incidents that are open or ended on or after `since`."""
    values = {"organization": organization, "since": since}
    with connection.cursor(row_factory=series_row(Incident)) as cursor:
        return cursor.execute(statement("anomalies/recent_incidents"), values).fetchall()


def store(connection: Connection, organization: str, incident: Incident) -> None:
    """Insert a new incident, or update a stored one."""
    query = "anomalies/insert_incident" if incident.incident_id is None else "anomalies/update_incident"
    connection.execute(
        statement(query), {**asdict(incident), **incident.series.columns(), "organization": organization}
    )
