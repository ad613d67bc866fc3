"""Writes the spend report as one HTML page that contains its data, scripts and styles and needs no network.

Python embeds the data as compressed JSON. The JavaScript in page_parts/ filters and adds up the data, and the vendored
Chart.js draws the charts. The scripts insert names of projects and users only as text, so that a hostile name cannot
become markup.
"""

from __future__ import annotations

import base64
import datetime as dt
import gzip
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
import msgspec

from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.report.atomic_file import atomic_write
from openai_costs_dagster.report.contents import SpendReport
from openai_costs_dagster.report.contents_from_warehouse import load_spend_report
from openai_costs_dagster.spend.money import dollars
from openai_costs_dagster.warehouse.database import Database

_PAGE_PARTS = resources.files("openai_costs_dagster.report").joinpath("page_parts")
# The page contains all scripts as one module, in this order. main.js must be last, because it starts the page.
SCRIPTS = ("text.js", "elements.js", "data.js", "filters.js", "charts.js", "totals.js", "sections.js", "main.js")
_CHART_JS = resources.files("openai_costs_dagster.report").joinpath("vendor", "chart.umd.js")


@dataclass(frozen=True)
class WrittenReport:
    """A spend report that was written to a file."""

    path: Path
    size_bytes: int
    report: SpendReport
    """The data on the page of the report."""

    @property
    def first_day(self) -> dt.date:
        """The first UTC day of the report."""
        return self.report.first_day

    @property
    def last_day(self) -> dt.date:
        """The last UTC day of the report, on which the report was written."""
        return self.report.last_day


def write_report(
    path: Path,
    configuration: Configuration,
    database: Database,
    now: dt.datetime,
) -> WrittenReport:
    """Write the spend report atomically to `path`.

    Raises `WarehouseError` if the database cannot be read, and `NotWritable` if the file cannot be written.
    """
    report = load_spend_report(configuration, database, now)
    page = render(report).encode()
    with atomic_write(path) as draft:
        draft.write_bytes(page)
    return WrittenReport(path, len(page), report)


def render(report: SpendReport) -> str:
    """Return the HTML page of a report. Equal reports result in equal pages."""
    # With `StrictUndefined`, a misspelled name in the template raises an error instead of leaving a gap in the page.
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["dollars"] = dollars
    template = environment.from_string(_read_part("page.html.jinja"))
    return template.render(
        report=report,
        style=_read_part("page.css"),
        script="\n".join(map(_read_part, SCRIPTS)),
        charts=_compressed(_CHART_JS.read_bytes()),
        data=_compressed(msgspec.json.encode(report)),
    )


def _read_part(name: str) -> str:
    return _PAGE_PARTS.joinpath(name).read_text(encoding="utf-8")


def _compressed(content: bytes) -> str:
    """Return the content as gzip in base64, whose characters can never end the HTML element that contains it."""
    # Without `mtime=0`, the gzip header would contain the current time, and equal reports would result in different
    # pages.
    return base64.b64encode(gzip.compress(content, compresslevel=9, mtime=0)).decode()
