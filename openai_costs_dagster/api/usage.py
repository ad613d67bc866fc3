"""Reads usage: what was counted, by user, API key and model. It never makes money: only costs do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.pagination import check_day, read_days
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.usage_records import COMMON_GROUPS, Operation, UsageRow

DAYS_PER_PAGE = 31


class _Bucket(msgspec.Struct):
    start_time: float
    results: list[dict[str, Any]]
    end_time: float | None = None


_BUCKET = msgspec.json.Decoder(_Bucket, float_hook=Decimal)


@dataclass(frozen=True)
class UsageBucket:
    """A day as the API sent it: its rows, those of one key added up, and the very bytes they came in."""

    day: dt.date
    rows: Sequence[UsageRow]
    raw: bytes


def usage_endpoint_path(operation: Operation) -> str:
    """Where an operation's usage is read."""
    return f"/organization/usage/{operation.name}"


def read_usage(
    api: AdminApi, operation: Operation, days: DayRange, groups: Sequence[str] | None = None
) -> Iterator[UsageBucket]:
    """Yields one bucket for every day of `days`, in order, by the operation's own groups or by fewer.

    Only a chain that was read to its end is whole. Raises an `ApiError`; EndpointNotFound if the server lacks the
    endpoint.
    """
    asked = operation.groups if groups is None else groups
    for due, raw in read_days(api, usage_endpoint_path(operation), days, group_by=asked, days_per_page=DAYS_PER_PAGE):
        try:
            bucket = _BUCKET.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise errors.UnexpectedSchema(f"{due}: a bucket of another shape than the API documents: {error}") from None
        check_day(bucket.start_time, bucket.end_time, due, days)
        yield UsageBucket(due, _added_up(operation, due, bucket.results), raw)


def _added_up(operation: Operation, day: dt.date, results: Sequence[Mapping[str, Any]]) -> list[UsageRow]:
    rows: dict[tuple[Any, ...], UsageRow] = {}
    for result in results:
        row = _row(operation, day, result)
        key = (*row[:4], *row.groups.values())
        known = rows.get(key)
        if known is not None:
            counters = dict(known.counters)
            for name, value in row.counters.items():
                counters[name] = counters.get(name, Decimal(0)) + value
            row = row._replace(counters=counters)
        rows[key] = row
    return list(rows.values())


def _row(operation: Operation, day: dt.date, result: Mapping[str, Any]) -> UsageRow:
    project, user, api_key, model = (_text(day, name, result.get(name)) for name in COMMON_GROUPS)
    groups = {name: _group(day, name, result.get(name)) for name in operation.other_groups}
    counters = {name: _count(day, name, result[name]) for name in operation.counters if result.get(name) is not None}
    return UsageRow(project, user, api_key, model, groups, counters)


def _text(day: dt.date, name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise errors.UnexpectedSchema(f"{day}: {name} of a usage row is {value!r}, and a text was expected")


def _group(day: dt.date, name: str, value: Any) -> str | bool | None:
    return value if isinstance(value, bool) else _text(day, name, value)


def _count(day: dt.date, name: str, value: Any) -> Decimal:
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and Decimal(value).is_finite():
        return Decimal(value)
    raise errors.UnexpectedSchema(f"{day}: {name} of a usage row is {value!r}, and a number was expected")
