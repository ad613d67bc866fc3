"""What a day is expected to cost: a ridge regression of the logarithm on level, trend and weekday, over eight weeks.

All series are solved at once. The basis is laid out backwards from the day that is judged, so that its prediction is
the sum of a few coefficients; priors keep single weekdays near their working-day or weekend level and trends small,
which is what lets three weeks of history predict a fourth.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Floats, Integers
from openai_costs_dagster.spend.detection.parameters import Parameters

_LEVEL, _TREND, _WEEKDAY, _RECENT, _WEEKEND, _SIZE = 0, 1, 2, 9, 10, 11
_WEEKEND_SPREAD = 2.0
_NO_PRIOR = 1e-9
_MOST_UNCERTAIN = 25.0


class Prediction(NamedTuple):
    """By series, on the log scale."""

    value: Floats
    level: Floats
    """The same without the weekday."""
    trend: Floats
    """Per day."""
    uncertainty: Floats
    """Variance of the prediction itself, in units of the noise's."""


class Baseline:
    """The basis for each weekday that may be judged, and its products, made once."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._ago = np.arange(1, parameters.window_days + 1)[:, None]
        settled = np.minimum(self._ago, np.arange(parameters.window_days + 1))
        self._weights = parameters.day_weight_decay**settled * parameters.young_day_weight_decay ** (
            self._ago - settled
        )
        self._bases = [self._basis(weekday) for weekday in range(7)]

    def _basis(self, weekday: int) -> tuple[Floats, Floats, Floats]:
        ago = np.arange(0, self._parameters.window_days + 1)
        rows = np.zeros((len(ago), _SIZE))
        rows[:, _LEVEL] = 1
        rows[:, _TREND] = -ago / 7
        rows[ago, _WEEKDAY + ago % 7] = 1
        rows[:, _RECENT] = np.exp(-ago / self._parameters.transient_decay_days)
        rows[:, _WEEKEND] = (weekday - ago) % 7 >= 5
        past, judged = rows[1:], rows[0]
        products = (past[:, :, None] * past[:, None, :]).reshape(len(past), _SIZE * _SIZE)
        return past, judged, products

    def predict(
        self,
        weekday: int,
        past: Floats,
        weights: Floats,
        noise: Floats,
        weekday_spread: Floats,
        settled_days: Integers,
        long_term_trend: Floats,
    ) -> Prediction:
        """Predicts a day from `past[days ago, series]`, the day before first, each day weighing `weights`.

        A level that has not settled yet forgets sooner and may have a steeper trend. One that has, `settled_for` so
        many days, forgets the days before that sooner still.
        """
        rows, judged, products = self._bases[weekday]
        weights = weights * self._weights[:, settled_days]
        past = past + self._ago * long_term_trend
        count = past.shape[1]
        normal = (weights.T @ products).reshape(count, _SIZE, _SIZE)
        normal[:, range(_SIZE), range(_SIZE)] += self._priors(noise, weekday_spread, settled_days == 0)
        right = np.stack([(weights * past).T @ rows, np.broadcast_to(judged, (count, _SIZE))], axis=-1)
        solved = np.linalg.solve(normal, right)
        found = solved[..., 0]
        return Prediction(
            value=found @ judged,
            level=found[:, _LEVEL] + found[:, _RECENT],
            trend=found[:, _TREND] / 7 + long_term_trend,
            uncertainty=np.clip(solved[..., 1] @ judged, 0, _MOST_UNCERTAIN),
        )

    def _priors(self, noise: Floats, weekday_spread: Floats, restless: Flags) -> Floats:
        parameters, variance = self._parameters, noise**2
        priors = np.empty((len(noise), _SIZE))
        priors[:, _LEVEL] = _NO_PRIOR
        trend = np.where(restless, parameters.young_weekly_trend_prior, parameters.weekly_trend_prior)
        priors[:, _TREND] = variance / trend**2
        priors[:, _WEEKDAY : _WEEKDAY + 7] = (variance / weekday_spread**2)[:, None]
        priors[:, _RECENT] = variance / parameters.transient_prior**2
        priors[:, _WEEKEND] = variance / _WEEKEND_SPREAD**2
        return priors
