"""Deletion of raw responses after their retention period. Rows and revisions stay."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement


def delete_raw_buckets(connection: Connection, organization: str, *, older_than: dt.date) -> int:
    """Delete the raw responses of costs and usage of days before `older_than`. Returns their number."""
    values = {"organization": organization, "older_than": older_than}
    with connection.transaction():
        return connection.execute(statement("costs/delete_old_raw_buckets"), values).rowcount
