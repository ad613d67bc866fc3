"""Rows of tables that hold a series of spend in several columns, read as records with a `SeriesKey`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from psycopg.rows import BaseRowFactory, RowMaker

from openai_costs_dagster.records import SERIES_COLUMNS, SeriesKey

Record = TypeVar("Record")


def series_row(record: Callable[..., Record]) -> BaseRowFactory[Record]:
    """Return a row factory for queries that select `organization`, all `SERIES_COLUMNS` and the other fields."""

    def factory(cursor: Any) -> RowMaker[Record]:
        names = [column.name for column in cursor.description or ()]

        def make(values: Sequence[Any]) -> Record:
            row = dict(zip(names, values, strict=True))
            series = SeriesKey.from_columns(row.pop("organization"), row)
            return record(series=series, **{name: value for name, value in row.items() if name not in SERIES_COLUMNS})

        return make

    return factory
