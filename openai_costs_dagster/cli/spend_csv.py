"""CSV files of `openai-costs backtest`: reads daily spend and writes verdicts.

Names are untrusted input. A cell that a spreadsheet would evaluate as a formula is prefixed with an apostrophe.
"""

from __future__ import annotations

import csv
import datetime as dt
import itertools
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, TYPE_CHECKING

from openai_costs_dagster.cli.errors import InputMistake
from openai_costs_dagster.report.atomic_file import atomic_write
from openai_costs_dagster.report.csv_injection import escape_formula
from openai_costs_dagster.user_input import open_text, strip_padding

if TYPE_CHECKING:
    from openai_costs_dagster.spend.detection.backtest import SpendRow, VerdictRow

COLUMNS = ("organization", "project", "model", "date", "amount")
HEADINGS = (*COLUMNS[:4], "flagged", "score", "expected", "lower", "upper", "reason")

# Ten years. The detector keeps a value for every day from the first to the last date, so one mistyped year would fill
# the memory.
_MAX_GAP = dt.timedelta(days=3653)
_MAX_LINE, _MAX_LINES = 1_000_000, 5_000_000
_MAX_AMOUNT = Decimal("1E+30")


def read_spend(path: Path) -> Iterator[SpendRow]:
    """Yield the rows of a CSV file with the columns organization, project, model, date and amount, in any order.

    Raises `InputMistake` with the line number of an invalid row.
    """
    from openai_costs_dagster.spend.detection.backtest import SpendRow

    lines_by_day: dict[dt.date, list[int]] = {}
    try:
        with open_text(path, newline="") as file:
            reader = csv.reader(_limited_lines(file))
            place = _column_indexes(path, next(reader, []))
            for cells in reader:
                if not any(cells):
                    continue
                where = f"{path}, line {reader.line_num}"
                if len(cells) <= max(place):
                    raise InputMistake(f"{where}: the line has only {len(cells)} cells")
                organization, project, model, day, amount = (strip_padding(cells[number]) for number in place)
                leaf = SpendRow(organization, project, model, _day(where, day), _amount(where, amount))
                lines_by_day.setdefault(leaf.day, []).append(reader.line_num)
                yield leaf
    except OSError as error:
        raise InputMistake(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeError:
        raise InputMistake(f"{path} is not UTF-8 text") from None
    except csv.Error as error:
        raise InputMistake(f"{path}, line {reader.line_num}: not CSV: {error}") from None
    # A date is isolated only in comparison with all other dates, so the check has to wait for the last row.
    _reject_isolated_dates(path, lines_by_day)


def _limited_lines(file: IO[str]) -> Iterator[str]:
    """Yield the lines of a file. Raises `csv.Error` for a line or a file that would not fit into memory."""
    for number in itertools.count(1):
        line = file.readline(_MAX_LINE + 1)
        if not line:
            return
        if len(line) > _MAX_LINE:
            raise csv.Error(f"the line has more than {_MAX_LINE:,} characters")
        if number > _MAX_LINES:
            raise csv.Error(f"the file has more than {_MAX_LINES:,} lines")
        yield line


def write_verdicts(path: Path, rows: Iterable[VerdictRow]) -> tuple[int, int]:
    """Write a CSV line for every verdict. Return the numbers of all and of flagged verdicts. Raises `NotWritable`."""
    count = flagged = 0
    with atomic_write(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADINGS)
        for row in rows:
            writer.writerow(_cells(row))
            count += 1
            flagged += row.flagged
    return count, flagged


def _cells(row: VerdictRow) -> list[str]:
    series = row.series
    names = [escape_formula(name) for name in (series.organization, series.project, series.model)]
    figures = [f"{value:.6f}" for value in (row.expected, row.lower, row.upper)]
    return [*names, row.day.isoformat(), str(row.flagged).lower(), f"{row.score:.3f}", *figures, row.reason]


def _column_indexes(path: Path, headings: list[str]) -> list[int]:
    known = {heading.strip().lower(): number for number, heading in enumerate(headings)}
    missing = [name for name in COLUMNS if name not in known]
    if missing:
        found = ", ".join(headings) or "nothing"
        raise InputMistake(f"{path} has no column {' and no column '.join(missing)}; its first line is: {found}")
    return [known[name] for name in COLUMNS]


def _reject_isolated_dates(path: Path, lines_by_day: Mapping[dt.date, list[int]]) -> None:
    """Raise `InputMistake` if ten years or more without rows lie between two dates.

    The message names a line on the side with fewer rows. The check finds mistyped years, with which a short file would
    span millions of days.
    """
    days = sorted(lines_by_day)
    for number, (before, after) in enumerate(itertools.pairwise(days), 1):
        if after - before <= _MAX_GAP:
            continue
        older, newer = (sum(len(lines_by_day[day]) for day in side) for side in (days[:number], days[number:]))
        far, neighbour = (before, after) if older < newer else (after, before)
        line = lines_by_day[far][0]
        raise InputMistake(f"{path}, line {line}: {far} is years away from all other days; the nearest is {neighbour}")


def _day(where: str, text: str) -> dt.date:
    try:
        day = dt.date.fromisoformat(text[:10])
    except ValueError:
        raise InputMistake(f"{where}: {text!r} is not a date; write it as 2026-11-20") from None
    # Some programs write an unlimited date as the year 9999. Adding a month to such a date would raise an error.
    if day.year == dt.MAXYEAR:
        raise InputMistake(f"{where}: {text!r} is too late to be a day of spend; the last possible year is 9998")
    return day


def _amount(where: str, text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise InputMistake(f"{where}: {text!r} is not an amount; write it as 12.50") from None
    if not amount.is_finite() or abs(amount) >= _MAX_AMOUNT:
        raise InputMistake(f"{where}: {text!r} is not an amount of money")
    return amount
