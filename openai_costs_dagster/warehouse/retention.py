"""Lets go of raw answers that are older than they are to be kept; rows and revisions stay."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement


def delete_raw_buckets(connection: Connection, organization: str, *, older_than: dt.date) -> int:
    """Deletes an organization's raw answers, costs and usage, of days before `older_than`; returns how many."""
    return connection.execute(
        statement("costs/delete_old_raw_buckets"), {"organization": organization, "older_than": older_than}
    ).rowcount
