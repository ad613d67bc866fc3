"""The intervals of forecasting models on a sample of leaf series."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detection import statsforecast_environment
from benchmarks.detection.panels import Floats, LabelledPanel

_ROOT = Path(__file__).resolve().parents[2]
_SAMPLE = 48  # leaf series
_SECONDS = 240  # time limit


@dataclass(frozen=True)
class Bounds:
    """The bounds of an interval in US dollars, of the shape ``[day, leaf]``. Days without bounds have NaN."""

    lower: Floats
    upper: Floats
    seconds: float


@dataclass(frozen=True)
class Forecasts:
    """The intervals of each model for a sample of a panel's leaf series."""

    whole: LabelledPanel
    columns: Sequence[int]
    """The columns of the sample in `whole`."""
    panel: LabelledPanel
    """The panel of the sample."""
    version: str
    bounds: Mapping[str, Bounds]


def forecasts(panel: LabelledPanel, seed: int) -> Forecasts | None:
    """Forecast a random sample of leaf series until the time limit.

    Returns None and prints a warning if statsforecast is unavailable or fails.
    """
    interpreter = statsforecast_environment.python()
    if interpreter is None:
        return None
    drawn = np.random.default_rng(seed).permutation(len(panel.leaves))[:_SAMPLE].tolist()
    lives = [np.flatnonzero(panel.alive[:, column]) for column in drawn]
    order = {
        "seconds": _SECONDS,
        "series": [panel.spend[life, column].tolist() for column, life in zip(drawn, lives, strict=True)],
    }
    command = [interpreter, "-m", "benchmarks.detection.forecasting"]
    done = subprocess.run(command, cwd=_ROOT, input=json.dumps(order), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(
            "\nWarning: skipped the forecasting models; statsforecast failed with the error above.\n", file=sys.stderr
        )
        return None
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    columns = drawn[: len(answers)]
    sample = panel.part(columns)
    bounds = {model: _bounds(sample, [answer[model] for answer in answers]) for model in answers[0]}
    return Forecasts(panel, columns, sample, statsforecast_environment.version(interpreter), bounds)


def _bounds(sample: LabelledPanel, answers: list[dict[str, Any]]) -> Bounds:
    lower, upper = np.full(sample.spend.shape, np.nan), np.full(sample.spend.shape, np.nan)
    for column, answer in enumerate(answers):
        life = sample.alive[:, column]
        lower[life, column] = np.array(answer["lower"], float)
        upper[life, column] = np.array(answer["upper"], float)
    return Bounds(lower, upper, sum(answer["seconds"] for answer in answers))
