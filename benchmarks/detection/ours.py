"""The detector as a contender: it evaluates the spend at all levels, as in production."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Literal

import numpy as np

from benchmarks.detection.panels import Flags, LabelledPanel
from openai_costs_dagster.records import SeriesKey
from openai_costs_dagster.spend.detection.detector import Detector
from openai_costs_dagster.spend.detection.panel import Spend, build_panel
from openai_costs_dagster.spend.detection.parameters import Parameters

Sensitivity = Literal["low", "medium", "high"]
SENSITIVITIES: tuple[Sensitivity, ...] = ("low", "medium", "high")
MINIMUM_IMPACT = 5.0
"""The default minimum impact of the detector, in US dollars."""


def prepare(panel: LabelledPanel, sensitivity: Sensitivity) -> Callable[[], Flags]:
    """Add up the spend at all levels and return a function that runs the detector and returns the leaf flags."""
    spend = build_panel(_rows(panel))
    first = (spend.first_day - panel.first_day).days
    columns = [spend.series.index(SeriesKey(*leaf[:3])) for leaf in panel.leaves]

    def find_flags() -> Flags:
        flagged = Detector(spend, Parameters.for_sensitivity(sensitivity, MINIMUM_IMPACT)).run().flagged[:, columns]
        flags = np.zeros(panel.spend.shape, bool)
        flags[first : first + len(flagged)] = flagged
        return flags & panel.alive

    return find_flags


def _rows(panel: LabelledPanel) -> Iterator[Spend]:
    days = panel.days
    for column, (organization, project, model, *_) in enumerate(panel.leaves):
        levels = [
            SeriesKey(organization, project, model),
            SeriesKey(organization, project),
            SeriesKey(organization, "", model),
            SeriesKey(organization),
        ]
        for row in np.flatnonzero(panel.spend[:, column]).tolist():
            amount = Decimal(f"{panel.spend[row, column]:.6f}")
            for series in levels:
                yield Spend(series, days[row], amount)
