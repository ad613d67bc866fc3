"""Tables and progress for people; plain lines where standard output is no terminal."""

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

_PLAIN_WIDTH = 160


class ProgressBar(Protocol):
    """Something that shows how far long work is."""

    def advance(self, days: int) -> None:
        """So many more days are done."""

    def print_line(self, line: str) -> None:
        """Shows a line above the bar."""


class _RichProgressBar:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("days", total=total)

    def advance(self, days: int) -> None:
        self._progress.advance(self._task, days)

    def print_line(self, line: str) -> None:
        self._progress.console.print(Text(line))


class _PlainProgress:
    """A line for every tenth of the work: logs of machines are read too."""

    def __init__(self, title: str, total: int) -> None:
        self._title, self._total, self._done, self._told = title, total, 0, 0

    def advance(self, days: int) -> None:
        self._done += days
        tenth = self._done * 10 // self._total
        if tenth > self._told:
            self._told = tenth
            click.echo(f"{self._title}: {self._done} of {self._total} days")

    def print_line(self, line: str) -> None:
        click.echo(line)


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[ProgressBar]:
    """A progress bar on a terminal, plain lines elsewhere."""
    console = Console()
    if not console.is_terminal:
        yield _PlainProgress(title, total)
        return
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TextColumn("days"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield _RichProgressBar(progress, total)


def show_table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """Shows a table; `right` are the columns to align to the right. Names are text, never markup."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PLAIN_WIDTH)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
