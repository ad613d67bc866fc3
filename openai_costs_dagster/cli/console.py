"""Tables, lines and progress bars that fit the terminal, and plain lines if standard output is not a terminal.

A line break never divides an amount, a date, a time or an id. A file or pipe never receives escape sequences, and
neither does a terminal with `NO_COLOR` or `TERM=dumb`, except those of a progress bar.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol, TypeAlias

import click
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from openai_costs_dagster.cli.terminal import has_styles
from openai_costs_dagster.display_text import printable
from openai_costs_dagster.user_input import env_variable

# The width, in characters, of tables that are written to a pipe or a file. Rich would assume only 80 characters and
# wrap most tables.
_PLAIN_WIDTH = 160
# The number of blanks between two columns of a table, and on each side of the whole table.
_GAP = 2
_INDENT = 4
# A narrower column of text would make its table very long.
_NARROWEST_TEXT = 24
# The blank in "90,000.00 JPY", "34 %" and "2026-03-11 14:30 UTC" is no place for a line break.
_INNER_BLANK = re.compile(r"(?<=\d) (?=(?:[A-Z]{3}|%|\d\d:\d\d(?::\d\d)?)(?!\w))")
# A private character without a meaning stands for a blank at which no line may break. A no-break space cannot, because
# rich breaks lines there as well.
_GLUE = "\ue000"

Cell: TypeAlias = str | Sequence[str]


class Column(NamedTuple):
    """A column of a table.

    A column with `wraps` contains text, whose lines may be broken at blanks. An `optional` column is left out where
    the terminal is too narrow.
    """

    heading: str
    right: bool = False
    wraps: bool = False
    optional: bool = False


class ProgressBar(Protocol):
    """The progress of work that is measured in days."""

    def advance(self, days: int) -> None:
        """Record that more days are finished."""

    def print_line(self, line: str) -> None:
        """Print a line above the progress bar."""


class _RichProgressBar:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("days", total=total)

    def advance(self, days: int) -> None:
        self._progress.advance(self._task, days)

    def print_line(self, line: str) -> None:
        console = self._progress.console
        # `Text` keeps rich from interpreting brackets in names as markup.
        console.print(Text("\n".join(_wrapped(printable(line), console.width))), soft_wrap=True)


class _PlainProgress:
    """Progress as one line for each tenth of the work, for log files."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._done, self._printed_tenths = title, total, 0, 0

    def advance(self, days: int) -> None:
        self._done += days
        tenth = self._done * 10 // self._total
        if tenth > self._printed_tenths:
            self._printed_tenths = tenth
            click.echo(f"{self._title}: {self._done} of {self._total} days")

    def print_line(self, line: str) -> None:
        print_line(line)


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[ProgressBar]:
    """Show a progress bar on a terminal, and plain lines elsewhere."""
    console = _console()
    if not console.is_terminal or console.is_dumb_terminal:
        yield _PlainProgress(title, total)
        return
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("days"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield _RichProgressBar(progress, total)


def print_line(line: str) -> None:
    """Print a line without control characters. On a terminal, a long line continues with an indent on the next one."""
    line = printable(line)
    is_limited = sys.stdout.isatty() or _columns_variable()
    click.echo("\n".join(_wrapped(line, _console().width)) if is_limited else line)


def show_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
    """Print a table that fits the terminal, or one block of lines per row where no table fits.

    Optional columns are left out, the last one first, before blocks replace the table. Blocks contain all columns. A
    list is a cell with several lines. Cells are printed as text, never as markup or control sequences.
    """
    console = _console()
    shown = list(columns)
    texts = [[_text(cell) for cell in row] for row in rows]
    cells = [[_glued(text) for text in row] for row in texts]
    left_out: list[str] = []
    while (widths := _widths(shown, cells, console.width)) is None:
        optional = [number for number, column in enumerate(shown) if column.optional]
        if not optional:
            _print_blocks(columns, texts, console)
            return
        left_out.insert(0, shown.pop(optional[-1]).heading)
        cells = [[cell for number, cell in enumerate(row) if number != optional[-1]] for row in cells]
    _print_table(console, shown, cells, widths)
    if left_out:
        print_line(f"Not shown in {console.width} columns: {', '.join(left_out)}")
        click.echo()


def _print_table(console: Console, columns: Sequence[Column], cells: list[list[str]], widths: list[int]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column.heading, justify="right" if column.right else "left", width=width, overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    with console.capture() as capture:
        console.print(table, crop=False)
    click.echo(capture.get().replace(_GLUE, " "), nl=False, color=has_styles(sys.stdout))


def _console() -> Console:
    # A file or pipe is not treated as a terminal, as rich would do if the variable FORCE_COLOR is set.
    is_terminal = sys.stdout.isatty()
    width = None if is_terminal or _columns_variable() else _PLAIN_WIDTH
    return Console(
        force_terminal=is_terminal,
        color_system="auto" if has_styles(sys.stdout) else None,
        width=width,
        legacy_windows=False,
    )


def _columns_variable() -> bool:
    """Return whether the variable `COLUMNS` sets a width, which rich then uses for files and pipes too."""
    return (env_variable("COLUMNS") or "").isdecimal()


def _text(cell: Cell) -> str:
    """Return the lines of a cell. A text of the API is one line, so that it cannot look like several cells."""
    return "\n".join(map(printable, [cell] if isinstance(cell, str) else cell))


def _glued(text: str) -> str:
    return _INNER_BLANK.sub(_GLUE, text)


def _longest(lines: Sequence[str]) -> int:
    return max(map(cell_len, lines), default=0)


def _widths(columns: Sequence[Column], cells: list[list[str]], width: int) -> list[int] | None:
    """Return the width of each column, or None if the table needs more than `width`."""
    least, most = [], []
    for number, column in enumerate(columns):
        lines = [line for row in cells for line in row[number].splitlines()]
        heading = _longest(column.heading.split())
        wanted = max(_longest(lines), heading)
        words = _longest([word for line in lines for word in line.split()])
        least.append(max(words, heading, min(wanted, _NARROWEST_TEXT)) if column.wraps else wanted)
        most.append(max(wanted, cell_len(column.heading)))
    free = width - _GAP * len(columns) - sum(least)
    if free < 0:
        return None
    # Columns that need the least additional width get it first, so that one long text does not narrow the others.
    for number in sorted(range(len(columns)), key=lambda index: most[index] - least[index]):
        more = min(free, most[number] - least[number])
        least[number] += more
        free -= more
    return least


def _print_blocks(columns: Sequence[Column], rows: Sequence[Sequence[str]], console: Console) -> None:
    """Print each row as its first cell, followed by the other cells with indented lines."""
    label = max(cell_len(column.heading) for column in columns[1:]) + _GAP
    for row in rows:
        print_line(f"{columns[0].heading}: {row[0]}")
        for column, cell in zip(columns[1:], row[1:], strict=True):
            for line in _block_lines(column.heading, cell, label, console.width):
                click.echo(line)
        click.echo()


def _block_lines(heading: str, cell: str, label: int, width: int) -> list[str]:
    """Return a label with its value beside it, or below it if the value is too wide."""
    indent = _INDENT // 2
    words = [word for line in cell.splitlines() for word in _glued(line).split()]
    if _longest(words) <= width - indent - label:
        values = _fold(cell, width - indent - label)
        names = [heading] + [""] * len(values)
        return [" " * indent + name.ljust(label) + value for name, value in zip(names, values, strict=False)]
    return [" " * indent + heading, *(" " * _INDENT + value for value in _fold(cell, width - _INDENT))]


def _fold(text: str, width: int) -> list[str]:
    """Break the lines of a text at blanks. A word that is longer than `width` is a line of its own."""
    folded = []
    for line in _glued(text).splitlines() or [""]:
        current = ""
        for word in line.split():
            joined = f"{current} {word}" if current else word
            if current and cell_len(joined) > width:
                folded.append(current)
                joined = word
            current = joined
        folded.append(current)
    return [line.replace(_GLUE, " ") for line in folded]


def _wrapped(line: str, width: int) -> list[str]:
    """Break a line at blanks and indent all parts but the first."""
    indent = " " * (len(line) - len(line.lstrip()))
    first, *others = _fold(line, width - len(indent) - _INDENT) if cell_len(line) > width else [line.lstrip()]
    return [indent + first, *(f"{indent}{' ' * _INDENT}{other}" for other in others)]
