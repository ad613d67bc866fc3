"""Reads table rows that describe a series of spend by several columns (project, model and so on) as one `SeriesKey`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from psycopg.rows import BaseRowFactory, RowMaker

from openai_costs_dagster.records import SERIES_COLUMNS, SeriesKey

Record = TypeVar("Record")


def series_row(record: Callable[..., Record]) -> BaseRowFactory[Record]:
    """Return a psycopg row factory that calls `record` with a `SeriesKey` as `series`, and the other columns by name.

    The query must select the column `organization` and all `SERIES_COLUMNS`, from which the `SeriesKey` is built.
    """

    def factory(cursor: Any) -> RowMaker[Record]:
        names = [column.name for column in cursor.description or ()]

        def make(values: Sequence[Any]) -> Record:
            row = dict(zip(names, values, strict=True))
            series = SeriesKey.from_columns(row.pop("organization"), row)
            return record(series=series, **{name: value for name, value in row.items() if name not in SERIES_COLUMNS})

        return make

    return factory
