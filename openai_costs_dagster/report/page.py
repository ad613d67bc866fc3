"""One HTML page from a spend report: no network, no server, everything inside.

The data lie in it compressed, the page adds them up. Its charts are drawn by Chart.js, which the package `chartkick`
ships (decision 17). Text of others reaches the page as data and is only ever set as text.
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

_ROOM = resources.files("openai_costs_dagster.report").joinpath("page_parts")
_SCRIPTS = ("data.js", "text.js", "elements.js", "filters.js", "charts.js", "sums.js", "sections.js", "main.js")
_CHART_JS = resources.files("openai_costs_dagster.report").joinpath("vendor", "chart.umd.js")


@dataclass(frozen=True)
class WrittenReport:
    """A report and the file that it lies in; `size` in bytes."""

    path: Path
    size_bytes: int
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
    report = load_spend_report(configuration, database, now)
    page = render(report).encode()
    with atomic_write(path) as draft:
        draft.write_bytes(page)
    return WrittenReport(path, len(page), report)


def render(report: SpendReport) -> str:
    """The page."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["dollars"] = dollars
    template = environment.from_string(_part("page.html.jinja"))
    return template.render(
        report=report,
        style=_part("page.css"),
        script="\n".join(map(_part, _SCRIPTS)),
        charts=_packed(_CHART_JS.read_bytes()),
        data=_packed(msgspec.json.encode(report)),
    )


def _part(name: str) -> str:
    return _ROOM.joinpath(name).read_text(encoding="utf-8")


def _packed(content: bytes) -> str:
    """Compressed, in letters that end no element; the same for the same content."""
    return base64.b64encode(gzip.compress(content, compresslevel=9, mtime=0)).decode()
