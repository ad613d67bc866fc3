"""The detector over a table of anyone's daily spend: every verdict, and how many findings a month."""

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

_DAYS_A_MONTH = 30.4
_SAME_FINDING = 7  # days within which a cause that comes back is not another one


class SpendRow(NamedTuple):
    """A row of spend; US dollars."""

    organization: str
    project: str
    model: str
    day: dt.date
    amount: Decimal


class VerdictRow(NamedTuple):
    """A series' verdict on a day; US dollars but for the score, which counts standard deviations."""

    series: SeriesKey
    day: dt.date
    flagged: bool
    score: float
    expected: float
    lower: float
    upper: float
    reason: str


def build_leaf_panel(rows: Iterable[SpendRow]) -> Panel:
    """Spend at all levels: project and model, project, model, and the organization. Raises ValueError for none."""
    return build_panel(spend for row_of_spend in rows for spend in _levels(row_of_spend))


def _levels(row_of_spend: SpendRow) -> Iterator[Spend]:
    organization, project, model = (
        row_of_spend.organization,
        row_of_spend.project or NO_VALUE,
        row_of_spend.model or NO_VALUE,
    )
    for series in (
        SeriesKey(organization, project, model),
        SeriesKey(organization, project),
        SeriesKey(organization, model=model),
        SeriesKey(organization),
    ):
        yield Spend(series, row_of_spend.day, row_of_spend.amount)


def backtest(panel: Panel, parameters: Parameters) -> Iterator[VerdictRow]:
    """Walks forward: each series from its first spend to its organization's last day."""
    return verdict_rows(panel, Detector(panel, parameters).run())


def verdict_rows(panel: Panel, verdicts: Verdicts) -> Iterator[VerdictRow]:
    """Each series' verdicts from its first spend to its organization's last day."""
    days = panel.days
    for column, series in enumerate(panel.series):
        for row in range(panel.born[column], panel.last[column] + 1):
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
    """How many findings a month and organization there would have been: causes, an event of days counted once."""
    months = _organization_months(panel)
    return _count_findings(panel, verdicts) / months if months else 0.0


def _organization_months(panel: Panel) -> float:
    whole = [column for column, series in enumerate(panel.series) if series == SeriesKey(series.organization)]
    return sum(int(panel.last[column] - panel.born[column]) + 1 for column in whole) / _DAYS_A_MONTH


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
                count += day - last_found.get(series, dt.date.min) >= ONE_DAY * _SAME_FINDING
                last_found[series] = day
    return count
