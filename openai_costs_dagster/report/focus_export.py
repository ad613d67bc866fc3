"""Exports a month's FOCUS rows to files, all of them from one moment, and says what they hold."""

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
from openai_costs_dagster.warehouse.focus import Days, Wanted

_ROWS_AT_ONCE = 10_000  # bounds memory; also the rows of a Parquet row group


class NoStoredDays(FocusError):
    """No day of the month is stored."""


@dataclass(frozen=True)
class ExportResult:
    """What was written."""

    wanted: Wanted
    rows: int
    billed: Mapping[str, Decimal]
    """The exact sum of BilledCost by currency."""
    days: Days

    @property
    def provisional(self) -> bool:
        """Whether the month may still change: a day of it is provisional, missing or still to come."""
        return bool(self.days.provisional_days or self.days.missing_days)


def export(connection: Connection, wanted: Wanted, paths: Sequence[Path]) -> ExportResult:
    """Writes a month to each path, by its ending `.csv` or `.parquet`; all or none of them.

    Raises UnknownFormat, NoStoredDays, NotWritable, TooManyDigits or a WarehouseError.
    """
    formats = {path: format_of(path) for path in paths}
    with focus.snapshot(connection):
        days = focus.days(connection, wanted)
        if not days.stored_days:
            first, last = wanted.month.days.first, wanted.month.days.last
            raise NoStoredDays(
                f"nothing is stored of {wanted.month} for {', '.join(wanted.organizations)}: "
                f"run openai-costs backfill --from {first} --to {last} first"
            )
        sums, digits = focus.sums(connection, wanted), focus.digits(connection, wanted)
        with ExitStack() as places, focus.rows(connection, wanted, at_once=_ROWS_AT_ONCE) as rows, ExitStack() as open_:
            drafts = {path: places.enter_context(atomic_write(path)) for path in paths}
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
