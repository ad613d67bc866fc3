"""Writes FOCUS rows to CSV and Parquet files, with exact decimals."""

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
"""The version of the FOCUS specification that the files follow."""

# the decimal digits that fit into the 128-bit and the 256-bit decimal types of Arrow
_MAX_DIGITS_128, _MAX_DIGITS_256 = 38, 76
_DIGITS_OF_EMPTY_COLUMN = Digits(1, 0)  # the decimal type of a column in which every value is null


class FocusError(Exception):
    """The base class of the errors of the FOCUS export. The message is one sentence with the remedy."""


class UnknownFormat(FocusError):
    """Raised for a file name with a suffix other than `.csv` and `.parquet`."""


class TooManyDigits(FocusError):
    """Raised for a number with more digits than the longest decimal type of Parquet has."""


class File(Protocol):
    """An open file to which rows of the FOCUS export are appended."""

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Append a batch of rows."""

    def close(self) -> None:
        """Write the end of the file, such as a footer, and close the file."""


MakeFile = Callable[[Path, Sequence[Column], Mapping[str, Digits]], File]


def format_of(path: Path) -> MakeFile:
    """Return the class that writes files with the suffix of `path`.

    Raises `UnknownFormat` for a suffix other than `.csv` and `.parquet`.
    """
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise UnknownFormat(f"{path} has an unknown suffix: use .csv or .parquet") from None


class CsvFile:
    """A CSV file in UTF-8 with a header.

    Decimals have no exponent. Times are RFC 3339 in UTC. Null is an empty field. Text is escaped against formula
    injection.
    """

    def __init__(self, path: Path, columns: Sequence[Column], _: Mapping[str, Digits]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        # With this line terminator, the csv module also quotes fields that contain "\r".
        self._writer = csv.writer(self._file, lineterminator="\r\n")
        self._formatters = [_FORMATTERS[column.kind] for column in columns]
        self._writer.writerow(column.name for column in columns)

    def write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Append a batch of rows."""
        self._writer.writerows(
            ["" if value is None else format_(value) for format_, value in zip(self._formatters, row, strict=True)]
            for row in rows
        )

    def close(self) -> None:
        """Close the file. A CSV file has no footer."""
        self._file.close()


class ParquetFile:
    """A Parquet file with decimal columns, times in UTC, dictionary-encoded text, and one row group per batch."""

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
                (
                    name,
                    decimal_type(name, digits.get(name, _DIGITS_OF_EMPTY_COLUMN)) if kind == "numeric" else kinds[kind],
                )
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
        """Append a batch of rows."""
        import pyarrow as pa

        arrays = [
            pa.array(values, type=field.type)
            for values, field in zip(zip(*rows, strict=True), self._schema, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))

    def close(self) -> None:
        """Write the footer of the Parquet file, and close the file."""
        with self._file:
            self._writer.close()


def decimal_type(name: str, digits: Digits) -> Any:
    """Return the Arrow decimal type with the smallest scale that has room for all digits of the column `name`.

    Raises `TooManyDigits` if the column needs more than 76 digits.
    """
    import pyarrow as pa

    needed = digits.before + digits.after
    if needed <= _MAX_DIGITS_128:
        # The 128-bit type is preferred, because fewer tools can read decimals of 256 bits.
        return pa.decimal128(_MAX_DIGITS_128, digits.after)
    if needed <= _MAX_DIGITS_256:
        return pa.decimal256(_MAX_DIGITS_256, digits.after)
    raise TooManyDigits(
        f"{name} needs {needed} digits, and decimals of Parquet have at most {_MAX_DIGITS_256}: export .csv instead"
    )


def _format_time(value: dt.datetime) -> str:
    # Every database session uses UTC, so the value is in UTC and the suffix Z is correct.
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def _format_decimal(value: Decimal) -> str:
    return format(value, "f")


_FORMATTERS: Mapping[str, Callable[[Any], str]] = {
    "text": escape_formula,
    # JSON needs no escaping, because it begins with a brace and no spreadsheet evaluates such a text as a formula.
    "json": str,
    "boolean": lambda value: "true" if value else "false",
    "date": dt.date.isoformat,
    "timestamptz": _format_time,
    "numeric": _format_decimal,
}
_FORMATS: Mapping[str, MakeFile] = {".csv": CsvFile, ".parquet": ParquetFile}
