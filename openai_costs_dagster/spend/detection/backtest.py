"""Runs the detector over a table of past spend and counts the findings per month."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.records import NO_VALUE, SeriesKey
from openai_costs_dagster.spend.detection.detector import Detector
from openai_costs_dagster.spend.detection.panel import Panel, Spend, build_panel, true_columns
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.root_causes import Flag, find_root_causes
from openai_costs_dagster.spend.detection.verdicts import Verdicts, describe_reason

_DAYS_PER_MONTH = 30.4
_REPEAT_DAYS = 7  # The number of days within which a cause that is found again counts as the same finding.


class SpendRow(NamedTuple):
    """A row of a table of past spend, in US dollars."""

    organization: str
    project: str
    model: str
    day: dt.date
    amount: Decimal


class VerdictRow(NamedTuple):
    """The result of the detector for one series and day.

    `score` is in standard deviations, and amounts are in US dollars.
    """

    series: SeriesKey
    day: dt.date
    flagged: bool
    score: float
    expected: float
    lower: float
    upper: float
    reason: str
    """The description of the reason for a finding, or "within the expected range"."""


def build_spend_panel(rows: Iterable[SpendRow]) -> Panel:
    """Arrange a table of past spend by day and series.

    The series are each model in a project, each project, each model, and the organization. Raises `ValueError` if
    `rows` is empty.
    """
    return build_panel(spend for row in rows for spend in _levels(row))


def _levels(row: SpendRow) -> Iterator[Spend]:
    organization, project, model = row.organization, row.project or NO_VALUE, row.model or NO_VALUE
    for series in (
        SeriesKey(organization, project, model),
        SeriesKey(organization, project),
        SeriesKey(organization, model=model),
        SeriesKey(organization),
    ):
        yield Spend(series, row.day, row.amount)


def backtest(panel: Panel, parameters: Parameters) -> Iterator[VerdictRow]:
    """Run the detector, and yield its result for each day from the first spend of each series on."""
    return verdict_rows(panel, Detector(panel, parameters).run())


def verdict_rows(panel: Panel, verdicts: Verdicts) -> Iterator[VerdictRow]:
    """Yield the results of the detector for each series, from its first spend to the last day of its organization."""
    days = panel.days
    for column, series in enumerate(panel.series):
        for row in range(panel.first_row[column], panel.last_row[column] + 1):
            yield VerdictRow(
                series,
                days[row],
                bool(verdicts.flagged[row, column]),
                verdicts.score[row, column].item(),
                verdicts.expected[row, column].item(),
                verdicts.lower[row, column].item(),
                verdicts.upper[row, column].item(),
                describe_reason(str(verdicts.reason[row, column])),
            )


def findings_per_month(panel: Panel, verdicts: Verdicts) -> float:
    """Return the average number of findings per month and organization.

    Series that changed for the same reason on a day count as one finding. A cause that is found again within seven days
    counts once.
    """
    months = _organization_months(panel)
    return _count_findings(panel, verdicts) / months if months else 0.0


def _organization_months(panel: Panel) -> float:
    """Return the number of months of data, added up over the organizations."""
    totals = [column for column, series in enumerate(panel.series) if series == SeriesKey(series.organization)]
    return sum(int(panel.last_row[column] - panel.first_row[column]) + 1 for column in totals) / _DAYS_PER_MONTH


def _count_findings(panel: Panel, verdicts: Verdicts) -> int:
    last_found: dict[SeriesKey, dt.date] = {}
    count = 0
    for row, day in enumerate(panel.days):
        flags: dict[str, list[Flag]] = defaultdict(list)
        for column in true_columns(verdicts.flagged[row]):
            series = panel.series[column]
            difference = (panel.spend[row, column] - verdicts.expected[row, column]).item()
            flags[series.organization].append(Flag(series, difference))
        for found in flags.values():
            for cause in find_root_causes(found):
                series = cause.flag.series
                count += day - last_found.get(series, dt.date.min) >= ONE_DAY * _REPEAT_DAYS
                last_found[series] = day
    return count
