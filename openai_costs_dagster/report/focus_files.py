"""Writes FOCUS rows as CSV or Parquet, batch by batch, every decimal exact: no float anywhere on the way."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from openai_costs_dagster.report.csv_injection import escape_formula
from openai_costs_dagster.version import __version__
from openai_costs_dagster.warehouse.focus import Column, Digits

VERSION = "1.2"
"""Of the FOCUS specification."""

_DIGITS_OF_128_BITS, _DIGITS_OF_256_BITS = 38, 76  # of Arrow's and Parquet's decimals
_NO_DIGITS = Digits(1, 0)


class FocusError(Exception):
    """Base; the text is one sentence that says what would do."""


class UnknownFormat(FocusError):
    """The file's ending names no format."""


class TooManyDigits(FocusError):
    """A number is longer than any decimal of the format."""


class File(Protocol):
    """A file that takes rows."""

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Appends a batch of rows."""

    def close(self) -> None:
        """No more rows follow."""


MakeFile = Callable[[Path, Sequence[Column], Mapping[str, Digits]], File]


def format_of(path: Path) -> MakeFile:
    """What writes a file with this ending. Raises UnknownFormat."""
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise UnknownFormat(f"{path} ends with neither .csv nor .parquet: end it with the one you want") from None


class CsvFile:
    """UTF-8 with a header: plain decimals, RFC 3339 times in UTC, null as nothing, text that no spreadsheet runs."""

    def __init__(self, path: Path, columns: Sequence[Column], _: Mapping[str, Digits]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\r\n")  # with "\n" alone a "\r" would stand unquoted
        self._spellings = [_SPELLINGS[column.kind] for column in columns]
        self._writer.writerow(column.name for column in columns)

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Appends a batch of rows."""
        self._writer.writerows(
            ["" if value is None else spell(value) for spell, value in zip(self._spellings, row, strict=True)]
            for row in rows
        )

    def close(self) -> None:
        """No more rows follow."""
        self._file.close()


class ParquetFile:
    """Decimals as decimals, times in UTC, text dictionary-encoded; a row group for every batch."""

    def __init__(self, path: Path, columns: Sequence[Column], digits: Mapping[str, Digits]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        kinds = {
            "text": pa.string(),
            "json": pa.string(),
            "boolean": pa.bool_(),
            "date": pa.date32(),
            "timestamptz": pa.timestamp("us", tz="UTC"),
        }
        self._schema = pa.schema(
            [
                (name, decimal_type(name, digits.get(name, _NO_DIGITS)) if kind == "numeric" else kinds[kind])
                for name, kind in columns
            ],
            metadata={"focus_version": VERSION, "created_with": f"openai-costs-dagster {__version__}"},
        )
        self._file = path.open("wb")
        self._writer = parquet.ParquetWriter(
            self._file,
            self._schema,
            compression="zstd",
            use_dictionary=[column.name for column in columns if column.kind in {"text", "json"}],
        )

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Appends a batch of rows."""
        import pyarrow as pa

        arrays = [
            pa.array(values, type=field.type)
            for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        """No more rows follow."""
        with self._file:
            self._writer.close()


def decimal_type(name: str, digits: Digits) -> Any:
    """Arrow's type with the smallest scale that holds every digit of a column. Raises TooManyDigits."""
    import pyarrow as pa

    needed = digits.before + digits.after
    if needed <= _DIGITS_OF_128_BITS:
        return pa.decimal128(_DIGITS_OF_128_BITS, digits.after)
    if needed <= _DIGITS_OF_256_BITS:
        return pa.decimal256(_DIGITS_OF_256_BITS, digits.after)
    raise TooManyDigits(
        f"{name} needs {needed} digits, and Parquet's longest decimals have {_DIGITS_OF_256_BITS}: export .csv instead"
    )


def _spell_time(value: dt.datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _spell_decimal(value: Decimal) -> str:
    return format(value, "f")


_SPELLINGS: Mapping[str, Callable[[Any], str]] = {
    "text": escape_formula,
    "json": str,
    "boolean": lambda value: "true" if value else "false",
    "date": dt.date.isoformat,
    "timestamptz": _spell_time,
    "numeric": _spell_decimal,
}
_FORMATS: Mapping[str, MakeFile] = {".csv": CsvFile, ".parquet": ParquetFile}
