"""Stores usage, and the usage endpoints that a server lacks. A day of one endpoint is always replaced as a whole."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.usage_records import Operation, UsageRow
from openai_costs_dagster.warehouse import errors
from openai_costs_dagster.warehouse.copy import COPY_STAGED_BUCKETS, copy_into
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

# Level 1 is the fastest level of zlib. Higher levels take more time than the saved space is worth.
_COMPRESSION = 1
_DELETE_MISSING_ENDPOINT = """
delete from openai_costs.missing_endpoints where organization = %(organization)s and endpoint = %(endpoint)s
"""


class UsageDay(NamedTuple):
    """The fetched usage of one UTC day from one endpoint: the parsed rows, and the response as OpenAI sent it."""

    day: dt.date
    rows: Sequence[UsageRow]
    raw: bytes


@dataclass(frozen=True)
class UsageWindow:
    """A range of days whose usage was fetched completely from one usage endpoint."""

    organization: str
    operation: Operation
    days: DayRange
    grouping: Sequence[str]
    started_at: dt.datetime
    provisional: frozenset[dt.date]


class StoredUsage(NamedTuple):
    """A stored row of usage, with its UTC day and the operation (the usage endpoint) that it belongs to."""

    usage_date: dt.date
    operation: str
    row: UsageRow


def store(connection: Connection, window: UsageWindow, buckets: Iterable[UsageDay]) -> int:
    """Replace the stored usage of one endpoint for all days of `window` in one transaction. Return the number of rows.

    Raises `LoadMismatch` if `buckets` do not cover exactly the days of `window`, and `ValueRefused` if PostgreSQL
    cannot store a value. In both cases, the tables stay unchanged.
    """
    buckets = list(buckets)
    if [bucket.day for bucket in buckets] != list(window.days):
        raise errors.LoadMismatch(f"{window.organization} {window.operation.name}: days are missing")
    values = {
        "organization": window.organization,
        "operation": window.operation.name,
        "source": f"usage/{window.operation.name}",
        "grouping": ",".join(window.grouping),
        "first": window.days.first,
        "last": window.days.last,
        "started_at": window.started_at,
        "provisional": list(window.provisional),
    }
    try:
        with connection.transaction():
            connection.execute(statement("usage/create_staging"))
            _copy_buckets(connection, buckets)
            connection.execute(statement("usage/delete_rows"), values)
            _copy_rows(connection, window, buckets)
            # Raw responses of usage and of costs share the table `raw_buckets`. The column `source` distinguishes the
            # two. The SQL files of costs therefore also store the raw responses of usage.
            connection.execute(statement("costs/delete_provisional_buckets"), values)
            connection.execute(statement("costs/insert_raw_buckets"), values)
            _note_days(connection, values, buckets)
    except errors.VALUE_ERRORS as error:
        message = f"{window.organization} {window.operation.name} {window.days}: {error.diag.message_primary}"
        raise errors.ValueRefused(message) from None
    return sum(len(bucket.rows) for bucket in buckets)


def _copy_buckets(connection: Connection, buckets: Sequence[UsageDay]) -> None:
    with connection.cursor() as cursor, cursor.copy(COPY_STAGED_BUCKETS) as copy:
        for bucket in buckets:
            digest = hashlib.sha256(bucket.raw).digest()
            copy.write_row((bucket.day, digest, zlib.compress(bucket.raw, _COMPRESSION)))


def _copy_rows(connection: Connection, window: UsageWindow, buckets: Sequence[UsageDay]) -> None:
    with copy_into(connection, "usage_rows") as copy:
        for bucket in buckets:
            for row in bucket.rows:
                groups, counters = json.dumps(dict(row.groups)), _json_of(row.counters)
                copy.write_row((window.organization, bucket.day, window.operation.name, *row[:4], groups, counters))


def _json_of(counters: Mapping[str, Decimal]) -> str:
    """Return usage counters as the text of a JSON object.

    `json.dumps` would need floats, which round large numbers, so the decimals are formatted here.
    """
    return "{" + ", ".join(f"{json.dumps(name)}: {value:f}" for name, value in counters.items()) + "}"


def _note_days(connection: Connection, values: Mapping[str, Any], buckets: Sequence[UsageDay]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            statement("usage/upsert_day"),
            [
                {
                    **values,
                    "usage_date": bucket.day,
                    "provisional": bucket.day in values["provisional"],
                    "row_count": len(bucket.rows),
                }
                for bucket in buckets
            ],
        )


def rows_of_days(connection: Connection, organization: str, days: Iterable[dt.date]) -> list[StoredUsage]:
    """Return the stored usage rows of an organization on the given UTC days, from all endpoints."""
    found = connection.execute(statement("usage/rows_of_days"), {"organization": organization, "days": list(days)})
    return [
        StoredUsage(day, operation, UsageRow(project, user, api_key, model, groups, _decimals(counters)))
        for day, operation, project, user, api_key, model, groups, counters in found
    ]


def _decimals(counters: str) -> dict[str, Decimal]:
    """Parse usage counters from the text of a JSON object. Numbers become decimals, because floats would be rounded."""
    return {
        name: Decimal(value) for name, value in json.loads(counters, parse_int=Decimal, parse_float=Decimal).items()
    }


class MissingEndpoint(NamedTuple):
    """An endpoint that the server of an organization does not have, with the server's error message.

    `observed_at` is the time of the request that failed.
    """

    endpoint: str
    message: str
    observed_at: dt.datetime


def missing_endpoints(connection: Connection, organization: str) -> list[MissingEndpoint]:
    """Return the endpoints of an organization's server that did not exist when they were last requested."""
    found = connection.execute(statement("usage/missing_endpoints"), {"organization": organization})
    return [MissingEndpoint(*row) for row in found]


def record_missing_endpoint(
    connection: Connection, organization: str, endpoint: str, message: str, now: dt.datetime
) -> None:
    """Store that an organization's server does not have an endpoint. `message` is the server's error message."""
    values = {"organization": organization, "endpoint": endpoint, "message": message, "now": now}
    with connection.transaction():
        connection.execute(statement("usage/upsert_missing_endpoint"), values)


def delete_missing_endpoint(connection: Connection, organization: str, endpoint: str) -> bool:
    """Delete the record that an endpoint is missing, and return whether such a record existed."""
    values = {"organization": organization, "endpoint": endpoint}
    with connection.transaction():
        return connection.execute(_DELETE_MISSING_ENDPOINT, values).rowcount > 0


def recent_operations(connection: Connection, organization: str, since: dt.date) -> set[str]:
    """Return the names of the operations (usage endpoints) with stored usage on `since` or a later day."""
    values = {"organization": organization, "since": since}
    return {operation for (operation,) in connection.execute(statement("usage/recent_operations"), values)}
