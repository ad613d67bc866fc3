"""Reads usage: the counters of each usage endpoint by user, API key and model. Usage contains no amounts of money."""

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
    """The usage of one UTC day: its rows, with equal dimensions added up, and the unchanged bytes of the bucket."""

    day: dt.date
    rows: Sequence[UsageRow]
    raw: bytes


def usage_endpoint_path(operation: Operation) -> str:
    """Return the path of an operation's usage endpoint."""
    return f"/organization/usage/{operation.name}"


def read_usage(
    api: AdminApi, operation: Operation, days: DayRange, groups: Sequence[str] | None = None
) -> Iterator[UsageBucket]:
    """Yield one bucket for every day of `days`, in order, grouped by `groups` (by default: all of the operation).

    Raises an `ApiError`: EndpointNotFound if the server lacks the endpoint. After an error, discard all buckets of the
    call, because the pages of one query belong together.
    """
    group_by = operation.groups if groups is None else groups
    for expected, raw in read_days(
        api, usage_endpoint_path(operation), days, group_by=group_by, days_per_page=DAYS_PER_PAGE
    ):
        try:
            bucket = _BUCKET.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise errors.UnexpectedSchema(
                f"{expected}: the bucket does not have the documented format: {error}"
            ) from None
        check_day(bucket.start_time, bucket.end_time, expected, days)
        yield UsageBucket(expected, _add_up(operation, expected, bucket.results), raw)


def _add_up(operation: Operation, day: dt.date, results: Sequence[Mapping[str, Any]]) -> list[UsageRow]:
    rows: dict[tuple[Any, ...], UsageRow] = {}
    for result in results:
        row = _row(operation, day, result)
        key = (*row[:4], *row.groups.values())
        # The API may return several rows with equal dimensions for one day.
        previous = rows.get(key)
        if previous is not None:
            counters = dict(previous.counters)
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
    raise errors.UnexpectedSchema(f"{day}: {name} of a usage row must be a string, but is {value!r}")


def _group(day: dt.date, name: str, value: Any) -> str | bool | None:
    return value if isinstance(value, bool) else _text(day, name, value)


def _count(day: dt.date, name: str, value: Any) -> Decimal:
    # In Python, `True` is an instance of `int`, so a JSON boolean in place of a counter must be refused explicitly.
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and Decimal(value).is_finite():
        return Decimal(value)
    raise errors.UnexpectedSchema(f"{day}: {name} of a usage row must be a number, but is {value!r}")
