"""Stores what the usage endpoints counted, whole days of one endpoint in one transaction; and what was not served."""

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

_COMPRESSION = 1
_DELETE_MISSING_ENDPOINT = """
delete from openai_costs.missing_endpoints where organization = %(organization)s and endpoint = %(endpoint)s
"""


class UsageDay(NamedTuple):
    """A day of one endpoint as it was read: its rows, and the bytes that are kept of it."""

    day: dt.date
    rows: Sequence[UsageRow]
    raw: bytes


@dataclass(frozen=True)
class UsageWindow:
    """One chain of one usage endpoint, read to its end."""

    organization: str
    operation: Operation
    days: DayRange
    grouping: Sequence[str]
    started_at: dt.datetime
    provisional: frozenset[dt.date]


class StoredUsage(NamedTuple):
    """A stored row of usage."""

    usage_date: dt.date
    operation: str
    row: UsageRow


def store(connection: Connection, reading: UsageWindow, buckets: Iterable[UsageDay]) -> int:
    """Replaces the reading's days in one transaction and returns how many rows that were.

    Raises LoadMismatch, with nothing changed, where the buckets are not those of the reading's days.
    """
    buckets = list(buckets)
    if [bucket.day for bucket in buckets] != list(reading.days):
        raise errors.LoadMismatch(f"{reading.organization} {reading.operation.name}: days are missing")
    values = {
        "organization": reading.organization,
        "operation": reading.operation.name,
        "source": f"usage/{reading.operation.name}",
        "grouping": ",".join(reading.grouping),
        "first": reading.days.first,
        "last": reading.days.last,
        "started_at": reading.started_at,
        "provisional": list(reading.provisional),
    }
    try:
        with connection.transaction():
            connection.execute(statement("usage/create_staging"))
            _copy_buckets(connection, buckets)
            connection.execute(statement("usage/delete_rows"), values)
            _copy_rows(connection, reading, buckets)
            connection.execute(statement("costs/delete_provisional_buckets"), values)
            connection.execute(statement("costs/insert_raw_buckets"), values)
            _note_days(connection, values, buckets)
    except errors.VALUE_ERRORS as error:
        said = f"{reading.organization} {reading.operation.name} {reading.days}: {error.diag.message_primary}"
        raise errors.ValueRefused(said) from None
    return sum(len(bucket.rows) for bucket in buckets)


def _copy_buckets(connection: Connection, buckets: Sequence[UsageDay]) -> None:
    with connection.cursor() as cursor, cursor.copy(COPY_STAGED_BUCKETS) as copy:
        for bucket in buckets:
            digest = hashlib.sha256(bucket.raw).digest()
            copy.write_row((bucket.day, digest, zlib.compress(bucket.raw, _COMPRESSION)))


def _copy_rows(connection: Connection, reading: UsageWindow, buckets: Sequence[UsageDay]) -> None:
    with copy_into(connection, "usage_rows") as copy:
        for bucket in buckets:
            for row in bucket.rows:
                groups, counters = json.dumps(dict(row.groups)), _json_of(row.counters)
                copy.write_row((reading.organization, bucket.day, reading.operation.name, *row[:4], groups, counters))


def _json_of(counters: Mapping[str, Decimal]) -> str:
    """Counters as JSON numbers, exact: no float on the way."""
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
    """All usage of some days."""
    found = connection.execute(statement("usage/rows_of_days"), {"organization": organization, "days": list(days)})
    return [
        StoredUsage(day, operation, UsageRow(project, user, api_key, model, groups, _decimals(counters)))
        for day, operation, project, user, api_key, model, groups, counters in found
    ]


def _decimals(counters: str) -> dict[str, Decimal]:
    """Counters from their JSON text, exact: no float on the way."""
    return {
        name: Decimal(value) for name, value in json.loads(counters, parse_int=Decimal, parse_float=Decimal).items()
    }


class MissingEndpoint(NamedTuple):
    """An address at which nothing was served."""

    endpoint: str
    message: str
    observed_at: dt.datetime


def missing_endpoints(connection: Connection, organization: str) -> list[MissingEndpoint]:
    """What an organization was not served when it was last asked for."""
    found = connection.execute(statement("usage/missing_endpoints"), {"organization": organization})
    return [MissingEndpoint(*row) for row in found]


def record_missing_endpoint(
    connection: Connection, organization: str, endpoint: str, message: str, now: dt.datetime
) -> None:
    """Remembers that something is not served."""
    values = {"organization": organization, "endpoint": endpoint, "message": message, "now": now}
    connection.execute(statement("usage/upsert_missing_endpoint"), values)


def delete_missing_endpoint(connection: Connection, organization: str, endpoint: str) -> bool:
    """It is served now; whether it was remembered as absent."""
    return (
        connection.execute(_DELETE_MISSING_ENDPOINT, {"organization": organization, "endpoint": endpoint}).rowcount > 0
    )


def recent_operations(connection: Connection, organization: str, since: dt.date) -> set[str]:
    """The operations that counted anything on a day since then."""
    values = {"organization": organization, "since": since}
    return {operation for (operation,) in connection.execute(statement("usage/recent_operations"), values)}
