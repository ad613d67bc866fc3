"""Draws the daily spend of a series with its usual range, for alerts and for Dagster's UI."""

from __future__ import annotations

from typing import NamedTuple

from openai_costs_dagster.charts import png, svg
from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.spend.detection.panel import Panel
from openai_costs_dagster.spend.detection.verdicts import Verdicts

_CHART_DAYS = 60


class FindingCharts(NamedTuple):
    """One chart as an SVG image in Markdown and as a PNG image, or None twice if there is nothing to draw."""

    markdown: str | None = None
    png: bytes | None = None


def draw_finding_charts(panel: Panel, verdicts: Verdicts, series: SeriesKey, row: int, title: str) -> FindingCharts:
    """Draw the spend of a series on the 60 days up to a row of the panel, and mark the flagged days.

    The chart of a series that is less than 60 days old starts at its first spend. A series that is not in the panel has
    no chart.
    """
    if series not in panel.series:
        return FindingCharts()
    column = panel.series.index(series)
    first = max(row - _CHART_DAYS + 1, int(panel.first_row[column]))
    days, rows = panel.days, range(first, row + 1)
    points = [
        svg.Point(
            days[number],
            panel.spend[number, column].item(),
            verdicts.expected[number, column].item(),
            verdicts.lower[number, column].item(),
            verdicts.upper[number, column].item(),
        )
        for number in rows
    ]
    flagged = {days[number] for number in rows if verdicts.flagged[number, column]} | {days[row]}
    bars = [png.Bar(point.actual, point.lower, point.upper, point.day in flagged) for point in points]
    return FindingCharts(svg.markdown(f"US dollars a day: {title}", points, flagged), png.png(bars))
