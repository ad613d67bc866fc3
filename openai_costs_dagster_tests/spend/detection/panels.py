"""Builders of synthetic daily spend for tests of the anomaly detector."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal

import numpy as np

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.spend.detection.backtest import SpendRow, build_spend_panel
from openai_costs_dagster.spend.detection.detector import Detector
from openai_costs_dagster.spend.detection.panel import Panel
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.verdicts import Annotations, Verdicts

START = dt.date(2026, 1, 5)
WEEKEND = 0.4


def steady(
    level: float, days: int = 120, *, noise: float = 0.1, seed: int = 1, weekend: float = WEEKEND
) -> list[float]:
    """Return spend in US dollars for consecutive days from a Monday on, with lower weekends and log-normal noise."""
    rng = np.random.default_rng(seed)
    return [
        level * (weekend if day % 7 >= 5 else 1.0) * float(np.exp(noise * rng.standard_normal())) for day in range(days)
    ]


def spend_rows(values: Mapping[tuple[str, str], Iterable[float]], organization: str = "acme") -> list[SpendRow]:
    """Return one row for each project, model and day with spend, from daily values by project and model."""
    return [
        SpendRow(organization, project, model, START + number * ONE_DAY, Decimal(str(round(value, 6))))
        for (project, model), days in values.items()
        for number, value in enumerate(days)
        if value
    ]


def panel(values: Mapping[tuple[str, str], Iterable[float]]) -> Panel:
    return build_spend_panel(spend_rows(values))


def detect(panel: Panel, annotations: Annotations | None = None, parameters: Parameters | None = None) -> Verdicts:
    return Detector(panel, parameters or Parameters(), annotations).run()


def flagged(
    values: Mapping[tuple[str, str], Iterable[float]], project: str = "search", model: str = "gpt"
) -> list[int]:
    """Return the days on which a series is flagged, as numbers of days since `START`."""
    spend_panel = panel(values)
    column = spend_panel.series.index(SeriesKey("acme", project, model))
    return [int(row) for row in np.flatnonzero(detect(spend_panel).flagged[:, column])]


BESIDE = {
    ("search", "other"): steady(300, seed=7),
    ("chat", "gpt"): steady(500, seed=8),
    ("chat", "other"): steady(80, seed=9),
}
"""Other series of the organization, so that its totals differ from the tested series."""
