"""Writes the spend report to a file, whole or not at all."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.report.atomic_file import replaced
from openai_costs_dagster.report.contents import SpendReport
from openai_costs_dagster.report.contents_from_warehouse import spend_report
from openai_costs_dagster.report.page import render
from openai_costs_dagster.warehouse.database import Database


@dataclass(frozen=True)
class WrittenReport:
    """A report and the file that it lies in; `size` in bytes."""

    path: Path
    size: int
    report: SpendReport

    @property
    def first_day(self) -> dt.date:
        """The first UTC day on the page."""
        return self.report.first_day

    @property
    def last_day(self) -> dt.date:
        """The last one, today."""
        return self.report.last_day


def write_report(
    path: Path,
    configuration: Configuration,
    database: Database,
    now: dt.datetime,
) -> WrittenReport:
    """Makes the page and puts it in the place of an older one. Raises WarehouseError or NotWritable."""
    report = spend_report(configuration, database, now)
    page = render(report).encode()
    with replaced(path) as draft:
        draft.write_bytes(page)
    return WrittenReport(path, len(page), report)
