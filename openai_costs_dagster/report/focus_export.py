"""Export of one month's bill to FOCUS files. The columns are defined in `warehouse/views/110_focus.sql`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from openai_costs_dagster.days import utc_now
from openai_costs_dagster.report.atomic_file import atomic_write
from openai_costs_dagster.report.focus_files import FocusError, format_of
from openai_costs_dagster.sync.history_start import first_served_day
from openai_costs_dagster.warehouse import coverage, focus, organizations
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.focus import MonthCompleteness, Selection

# The number of rows in a batch, which limits the use of memory and is the size of a row group in a Parquet file.
_BATCH_ROWS = 10_000


class NoStoredDays(FocusError):
    """Raised for a month without any stored day."""


@dataclass(frozen=True)
class ExportResult:
    """The summary of an exported month."""

    wanted: Selection
    """The month and the organizations of the export."""
    rows: int
    """The number of exported rows."""
    billed: Mapping[str, Decimal]
    """The exact sum of the column BilledCost for each currency code."""
    days: MonthCompleteness
    """The numbers of stored, provisional and missing days."""

    @property
    def provisional(self) -> bool:
        """Whether the month may still change, because a day is provisional, missing or in the future."""
        return bool(self.days.provisional_days or self.days.missing_days)


def export(
    connection: Connection, wanted: Selection, paths: Sequence[Path], *, today: dt.date | None = None
) -> ExportResult:
    """Write the costs of a month to every path, and return a summary.

    The suffix of each path, `.csv` or `.parquet`, selects the format. `today` is the current UTC day by default, and
    determines the remedy for a month without stored days. All rows come from one database snapshot. If writing one file
    fails, no file is replaced. Raises `UnknownFormat`, `NoStoredDays`, `NotWritable`, `TooManyDigits` or
    `WarehouseError`.
    """
    formats = {path: format_of(path) for path in paths}
    with focus.snapshot(connection):
        days = focus.days(connection, wanted)
        if not days.stored_days:
            names = ", ".join(wanted.organizations)
            remedy = _remedy(connection, wanted, today or utc_now().date())
            raise NoStoredDays(f"no day of {wanted.month} is stored for {names}: {remedy}")
        sums, digits = focus.sums(connection, wanted), focus.digits(connection, wanted)
        # The footer of a Parquet file is written when the file is closed, so the files are closed before the temporary
        # files are renamed.
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


def _remedy(connection: Connection, wanted: Selection, today: dt.date) -> str:
    """Return the remedy for a month without stored days.

    A backfill is recommended only if it can read at least one day of the month.
    """
    month = wanted.month.days
    if month.first > today:
        return f"the month is in the future, because today is {today} in UTC"
    known = {stored.organization: stored for stored in organizations.all_organizations(connection)}
    served = {name: first_served_day(known.get(name), today) for name in wanted.organizations}
    if month.last < min(served.values()):
        return f"it can no longer be read, because OpenAI serves no day before {min(served.values())}"
    first_days = {name: _first_day(known.get(name), served[name]) for name in served}
    readable = [name for name, first in first_days.items() if first <= month.last]
    if not readable:
        return (
            f"it is before the history, which begins on {min(first_days.values())}: only an earlier start_date adds it"
        )
    failures = {
        status.organization: f"{status.organization}: {status.last_error}"
        for status in coverage.sync_status(connection)
        if status.last_error_is_permanent
    }
    working = [name for name in readable if name not in failures]
    if not working:
        return (
            f"its synchronization fails until the cause is corrected ({'; '.join(map(failures.__getitem__, readable))})"
        )
    # A backfill is refused if its first day is before the history of one of the organizations.
    first = max(month.first, *(first_days[name] for name in working))
    named = " ".join(f"--org {name}" for name in working)
    return f"run openai-costs backfill {named} --from {first} --to {min(month.last, today)} first"


def _first_day(stored: organizations.StoredOrganization | None, served: dt.date) -> dt.date:
    """Return the first day of an organization that a backfill can read."""
    known = [stored.start_date, stored.earliest_day] if stored else []
    return max([served, *(day for day in known if day)])
