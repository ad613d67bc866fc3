"""One HTML page from a spend report: no network, no server, everything inside.

The data lie in it compressed, the page adds them up. Its charts are drawn by Chart.js, which the package `chartkick`
ships (decision 17). Text of others reaches the page as data and is only ever set as text.
"""

from __future__ import annotations

import base64
import gzip
from importlib import resources

import jinja2
import msgspec

from openai_costs_dagster.report.contents import SpendReport
from openai_costs_dagster.spend.money import dollars

_ROOM = resources.files("openai_costs_dagster.report").joinpath("page_parts")
_SCRIPTS = ("data.js", "words.js", "elements.js", "filters.js", "charts.js", "sums.js", "sections.js", "main.js")
_CHARTS = resources.files("chartkick").joinpath("django", "static", "chartkick", "Chart.bundle.js")


def render(report: SpendReport) -> str:
    """The page."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["dollars"] = dollars
    template = environment.from_string(_part("page.html.jinja"))
    return template.render(
        report=report,
        style=_part("page.css"),
        script="\n".join(map(_part, _SCRIPTS)),
        charts=_packed(_CHARTS.read_bytes()),
        data=_packed(msgspec.json.encode(report)),
    )


def _part(name: str) -> str:
    return _ROOM.joinpath(name).read_text(encoding="utf-8")


def _packed(content: bytes) -> str:
    """Compressed, in letters that end no element; the same for the same content."""
    return base64.b64encode(gzip.compress(content, compresslevel=9, mtime=0)).decode()
