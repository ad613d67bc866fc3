"""Predicts the spend of a day by a ridge regression of log spend on level, trend and weekday over eight weeks.

The regression solves all series at once. Days are counted backwards from the evaluated day, so that the prediction is
the sum of a few coefficients. The priors keep the effect of each weekday close to the level of working days or of
weekends, and keep trends small. With these priors, three weeks of history are enough to predict a fourth week.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Floats, Integers
from openai_costs_dagster.spend.detection.parameters import Parameters

# The columns of the regression matrix. The seven weekdays take the columns 2 to 8.
_LEVEL, _TREND, _WEEKDAY, _TRANSIENT, _WEEKEND, _SIZE = 0, 1, 2, 9, 10, 11
_WEEKEND_PRIOR = 2.0  # The prior standard deviation of the difference between weekends and working days (log scale).
_NO_PRIOR = 1e-9  # This weak prior keeps the matrix invertible and does not influence the level.
_MAX_UNCERTAINTY = 25.0  # The upper bound of the prediction's variance, in units of the noise's variance.


class Prediction(NamedTuple):
    """The prediction of a day for each series, on the log scale."""

    value: Floats
    level: Floats
    """The predicted value without the weekday effect."""
    trend: Floats
    """The predicted change of the level per day."""
    uncertainty: Floats
    """The variance of the prediction, in units of the noise's variance."""


class Baseline:
    """The regression, with its matrix precomputed for each weekday."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._ago = np.arange(1, parameters.window_days + 1)[:, None]
        settled = np.minimum(self._ago, np.arange(parameters.window_days + 1))
        self._weights = parameters.day_weight_decay**settled * parameters.young_day_weight_decay ** (
            self._ago - settled
        )
        self._bases = [self._basis(weekday) for weekday in range(7)]

    def _basis(self, weekday: int) -> tuple[Floats, Floats, Floats]:
        """Return the regression rows of the past days, the row of the evaluated day, and the outer products of the past
        rows.
        """
        ago = np.arange(0, self._parameters.window_days + 1)
        rows = np.zeros((len(ago), _SIZE))
        rows[:, _LEVEL] = 1
        rows[:, _TREND] = -ago / 7
        rows[ago, _WEEKDAY + ago % 7] = 1
        rows[:, _TRANSIENT] = np.exp(-ago / self._parameters.transient_decay_days)
        rows[:, _WEEKEND] = (weekday - ago) % 7 >= 5
        past, today = rows[1:], rows[0]
        products = (past[:, :, None] * past[:, None, :]).reshape(len(past), _SIZE * _SIZE)
        return past, today, products

    def predict(
        self,
        weekday: int,
        past: Floats,
        weights: Floats,
        noise: Floats,
        weekday_prior: Floats,
        settled_days: Integers,
        long_term_trend: Floats,
    ) -> Prediction:
        """Predict the spend of a day from the days before it.

        `past` and `weights` have the shape ``[days ago, series]`` and begin with the day before the evaluated day.
        `settled_days` is the number of days since the last change of level ended. While `settled_days` is 0, older days
        weigh less and the trend may be steeper. From 1 on, only days before the change of level weigh less.
        """
        rows, today, products = self._bases[weekday]
        weights = weights * self._weights[:, settled_days]
        # The regression only estimates the difference from the long-term trend, which is added again to the result.
        past = past + self._ago * long_term_trend
        count = past.shape[1]
        normal = (weights.T @ products).reshape(count, _SIZE, _SIZE)
        normal[:, range(_SIZE), range(_SIZE)] += self._priors(noise, weekday_prior, settled_days == 0)
        right = np.stack([(weights * past).T @ rows, np.broadcast_to(today, (count, _SIZE))], axis=-1)
        solved = np.linalg.solve(normal, right)
        coefficients = solved[..., 0]
        return Prediction(
            value=coefficients @ today,
            level=coefficients[:, _LEVEL] + coefficients[:, _TRANSIENT],
            trend=coefficients[:, _TREND] / 7 + long_term_trend,
            uncertainty=np.clip(solved[..., 1] @ today, 0, _MAX_UNCERTAINTY),
        )

    def _priors(self, noise: Floats, weekday_prior: Floats, unsettled: Flags) -> Floats:
        """Return the penalties of the ridge regression: the variance of the noise divided by the prior variances."""
        parameters, variance = self._parameters, noise**2
        priors = np.empty((len(noise), _SIZE))
        priors[:, _LEVEL] = _NO_PRIOR
        trend = np.where(unsettled, parameters.young_weekly_trend_prior, parameters.weekly_trend_prior)
        priors[:, _TREND] = variance / trend**2
        priors[:, _WEEKDAY : _WEEKDAY + 7] = (variance / weekday_prior**2)[:, None]
        priors[:, _TRANSIENT] = variance / parameters.transient_prior**2
        priors[:, _WEEKEND] = variance / _WEEKEND_PRIOR**2
        return priors
