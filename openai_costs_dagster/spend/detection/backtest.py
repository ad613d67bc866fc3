"""The detector over a table of anyone's daily spend: every verdict, and how many findings a month."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import NamedTuple

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.records import NO_VALUE, SeriesKey
from openai_costs_dagster.spend.detection.detector import Walk
from openai_costs_dagster.spend.detection.panel import Panel, Spend, columns_of, panel_of
from openai_costs_dagster.spend.detection.parameters import Tuning
from openai_costs_dagster.spend.detection.root_causes import Flag, causes_of
from openai_costs_dagster.spend.detection.verdicts import Verdicts, words

_DAYS_A_MONTH = 30.4
_SAME_FINDING = 7  # days within which a cause that comes back is not another one


class Leaf(NamedTuple):
    """A row of spend; US dollars."""

    organization: str
    project: str
    model: str
    day: dt.date
    amount: Decimal


class Row(NamedTuple):
    """A series' verdict on a day; US dollars but for the score, which counts standard deviations."""

    series: SeriesKey
    day: dt.date
    flagged: bool
    score: float
    expected: float
    lower: float
    upper: float
    reason: str


def panel_of_leaves(leaves: Iterable[Leaf]) -> Panel:
    """Spend at all levels: project and model, project, model, and the organization. Raises ValueError for none."""
    return panel_of(spend for leaf in leaves for spend in _levels(leaf))


def _levels(leaf: Leaf) -> Iterator[Spend]:
    organization, project, model = leaf.organization, leaf.project or NO_VALUE, leaf.model or NO_VALUE
    for series in (
        SeriesKey(organization, project, model),
        SeriesKey(organization, project),
        SeriesKey(organization, model=model),
        SeriesKey(organization),
    ):
        yield Spend(series, leaf.day, leaf.amount)


def backtest(panel: Panel, tuning: Tuning) -> Iterator[Row]:
    """Walks forward: each series from its first spend to its organization's last day."""
    return rows_of(panel, Walk(panel, tuning).judge())


def rows_of(panel: Panel, verdicts: Verdicts) -> Iterator[Row]:
    """Each series' verdicts from its first spend to its organization's last day."""
    days = panel.days
    for column, series in enumerate(panel.series):
        for row in range(panel.born[column], panel.last[column] + 1):
            yield Row(
                series,
                days[row],
                bool(verdicts.flagged[row, column]),
                verdicts.score[row, column].item(),
                verdicts.expected[row, column].item(),
                verdicts.lower[row, column].item(),
                verdicts.upper[row, column].item(),
                words(str(verdicts.reason[row, column])),
            )


def findings_a_month(panel: Panel, verdicts: Verdicts) -> float:
    """How many findings a month and organization there would have been: causes, an event of days counted once."""
    months = _organization_months(panel)
    return _count_findings(panel, verdicts) / months if months else 0.0


def _organization_months(panel: Panel) -> float:
    whole = [column for column, series in enumerate(panel.series) if series == SeriesKey(series.organization)]
    return sum(int(panel.last[column] - panel.born[column]) + 1 for column in whole) / _DAYS_A_MONTH


def _count_findings(panel: Panel, verdicts: Verdicts) -> int:
    last_seen: dict[SeriesKey, dt.date] = {}
    count = 0
    for row, day in enumerate(panel.days):
        flags: dict[str, list[Flag]] = defaultdict(list)
        for column in columns_of(verdicts.flagged[row]):
            series = panel.series[column]
            difference = (panel.spend[row, column] - verdicts.expected[row, column]).item()
            flags[series.organization].append(Flag(series, difference))
        for found in flags.values():
            for cause in causes_of(found):
                series = cause.flag.series
                count += day - last_seen.get(series, dt.date.min) >= ONE_DAY * _SAME_FINDING
                last_seen[series] = day
    return count
