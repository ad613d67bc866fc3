"""Export of one month's bill to FOCUS files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from openai_costs_dagster.report.atomic_file import atomic_write
from openai_costs_dagster.report.focus_files import FocusError, format_of
from openai_costs_dagster.warehouse import focus
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.focus import MonthCompleteness, Selection

_BATCH_ROWS = 10_000  # rows per batch; limits memory use and is the size of a row group in Parquet


class NoStoredDays(FocusError):
    """The error for a month without any stored day."""


@dataclass(frozen=True)
class ExportResult:
    """Summary of the exported rows."""

    wanted: Selection
    """The month and the organizations of the export."""
    rows: int
    """Number of exported rows."""
    billed: Mapping[str, Decimal]
    """Exact sum of the column BilledCost, by currency code."""
    days: MonthCompleteness
    """Numbers of stored, provisional and missing days."""

    @property
    def provisional(self) -> bool:
        """Whether the month may still change, because a day is provisional, missing or in the future."""
        return bool(self.days.provisional_days or self.days.missing_days)


def export(connection: Connection, wanted: Selection, paths: Sequence[Path]) -> ExportResult:
    """Write a month to every path and return a summary. The suffix `.csv` or `.parquet` selects the format.

    All rows come from one database snapshot. If one file fails, no file is replaced.
    Raises `UnknownFormat`, `NoStoredDays`, `NotWritable`, `TooManyDigits` or `WarehouseError`.
    """
    formats = {path: format_of(path) for path in paths}
    with focus.snapshot(connection):
        days = focus.days(connection, wanted)
        if not days.stored_days:
            first, last = wanted.month.days.first, wanted.month.days.last
            raise NoStoredDays(
                f"no day of {wanted.month} is stored for {', '.join(wanted.organizations)}: "
                f"run openai-costs backfill --from {first} --to {last} first"
            )
        sums, digits = focus.sums(connection, wanted), focus.digits(connection, wanted)
        # The files close before the drafts are renamed, because the footer of a Parquet file is written on close.
        with (
            ExitStack() as drafts_stack,
            focus.rows(connection, wanted, at_once=_BATCH_ROWS) as rows,
            ExitStack() as open_,
        ):
            drafts = {path: drafts_stack.enter_context(atomic_write(path)) for path in paths}
            files = [
                open_.enter_context(closing(make(drafts[path], rows.columns, digits))) for path, make in formats.items()
            ]
            for batch in rows:
                for file in files:
                    file.write(batch)
    return ExportResult(
        wanted,
        rows=sum(count for _, count in sums.values()),
        billed={currency: billed for currency, (billed, _) in sums.items()},
        days=days,
    )
