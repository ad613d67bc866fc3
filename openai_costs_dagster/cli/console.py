"""Tables and progress bars on a terminal, and plain lines if standard output is not a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import click
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from openai_costs_dagster.display_text import printable

# The width in characters. For a pipe or a file, Rich would assume only 80 and wrap most tables.
_PLAIN_WIDTH = 160


class ProgressBar(Protocol):
    """The progress of work that is measured in days."""

    def advance(self, days: int) -> None:
        """Add finished days."""

    def print_line(self, line: str) -> None:
        """Print a line above the progress bar."""


class _RichProgressBar:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("days", total=total)

    def advance(self, days: int) -> None:
        self._progress.advance(self._task, days)

    def print_line(self, line: str) -> None:
        # `Text` keeps rich from interpreting brackets in names as markup.
        self._progress.console.print(Text(printable(line)))


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
        click.echo(printable(line))


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[ProgressBar]:
    """Show a progress bar on a terminal, and plain lines elsewhere."""
    console = Console()
    if not console.is_terminal:
        yield _PlainProgress(title, total)
        return
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("days"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield _RichProgressBar(progress, total)


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Print a table. `right` lists the indexes of right-aligned columns.

    Cells are printed as text in one line, never as markup or control sequences.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        # Folding wraps long ids, which rich would otherwise cut off with an ellipsis.
        table.add_column(heading, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)
