"""Deletes OpenAI's raw responses after a configured number of days. Cost rows, usage rows and revisions stay stored."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement


def delete_raw_buckets(connection: Connection, organization: str, *, older_than: dt.date) -> int:
    """Delete an organization's raw responses of costs and usage for UTC days before `older_than`.

    Returns the number of deleted responses.
    """
    values = {"organization": organization, "older_than": older_than}
    with connection.transaction():
        return connection.execute(statement("costs/delete_old_raw_buckets"), values).rowcount
