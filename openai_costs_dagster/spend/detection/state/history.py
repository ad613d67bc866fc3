"""The history of evaluated days: the spend, its noise and its level, without the influence of unusual days.

Arrays that are read in windows of W days begin with W empty rows, so the values of day `row` are at index `row` + W,
and the window of the W days before this day begins at index `row`.
"""

from __future__ import annotations

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Floats, Integers, Panel
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.state.baseline import Prediction
from openai_costs_dagster.spend.detection.state.day import Day

# This factor converts the median absolute deviation of a normal distribution to its standard deviation.
_MAD_TO_SIGMA = 1.4826
_ADOPTION_START_DAYS = 10  # The age in days from which the rise of a new series is measured.
# The rise of the level until the age `settling_age_days`, on the log scale, from which people have gradually adopted a
# series.
_ADOPTION_RISE = 0.3
_MAX_TREND = 0.012  # The steepest trend per day that is extrapolated, on the log scale.
# The first days of a series weigh fully, because no expectation exists yet with which they could be compared.
_TRUSTED_AGE_DAYS = 3
_MIN_YOUNG_WEIGHT = 0.3  # The smallest weight of a day of a series that is too young for the tests.


class History:
    """The history of all series on the log scale, where 0 is no spend and log 2 is `Parameters.floor_usd`."""

    def __init__(self, panel: Panel, parameters: Parameters) -> None:
        self._parameters = parameters
        self.log_spend = np.log1p(np.maximum(panel.spend, 0) / parameters.floor_usd)
        days, count = self.log_spend.shape
        padded = (days + parameters.window_days, count)
        self._past = np.zeros(padded)
        self._weight = np.zeros(padded)
        self._abs_residual = np.zeros(padded)
        self._noise_weight = np.zeros(padded)
        self.scores = np.zeros((days, count))
        self.level = np.zeros((days, count))
        self.trend = np.zeros((days, count))
        self._is_adopted = np.zeros(count, bool)
        self.long_term_trend = np.zeros(count)
        """The slowly updated average of the trend of each series, per day."""
        self.deseasonalized = np.zeros((days, count))
        """The spend of each day without its weekday effect, on the log scale."""
        self.noise = np.full(count, parameters.typical_noise)
        """The standard deviation of the noise of each series, on the log scale."""
        ago = np.arange(1, parameters.noise_window_days + 1)[:, None]
        self._recent_decay = parameters.recent_noise_decay**ago
        self._decay = parameters.noise_decay**ago

    def past(self, row: int) -> tuple[Floats, Floats]:
        """Return the spend and the weights of the days that the baseline uses, beginning with the day before `row`."""
        window = slice(row, row + self._parameters.window_days)
        return self._past[window][::-1], self._weight[window][::-1]

    def deviations(self, column: int, first: int, row: int) -> Floats:
        """Return how far each day from `first` to `row` lies above the level that was known before `first`."""
        above: Floats = self.deseasonalized[first : row + 1, column] - self.level[first, column]
        return above

    def weights(self, first: int, row: int) -> Floats:
        """Return the weights of the days from `first` to `row`, excluding `row`."""
        return self._weight[first + self._parameters.window_days : row + self._parameters.window_days]

    def settled_days(self, row: int, age: Integers) -> Integers:
        """Return for how many days the level of each series has been stable, at most the number of days that the
        baseline uses.

        A series that grew gradually from little spend (an adopted series) needs time until its level is stable. Any
        other series that is `settling_age_days` old counts as stable for all days.
        """
        parameters = self._parameters
        settling = np.flatnonzero(age == parameters.settling_age_days)
        if len(settling):
            start = row - parameters.settling_age_days + _ADOPTION_START_DAYS
            risen = self.level[row - 1, settling] - self.level[start, settling]
            self._is_adopted[settling] = risen > _ADOPTION_RISE
        since = np.clip(age - parameters.settling_age_days + 1, 0, parameters.window_days)
        return np.where(self._is_adopted | (age < parameters.settling_age_days), since, parameters.window_days)

    def record_prediction(self, row: int, prediction: Prediction, *, known: bool) -> None:
        """Record the level and the trend that were predicted for a day.

        If the spend of the day is unknown, the day is treated as if its spend had been at the predicted level.
        """
        self.level[row] = prediction.level
        self.trend[row] = np.clip(prediction.trend, -_MAX_TREND, _MAX_TREND)
        weekday_effect = prediction.value - prediction.level
        self.deseasonalized[row] = self.log_spend[row] - weekday_effect if known else prediction.level

    def record_day(self, day: Day) -> None:
        """Record an evaluated day.

        Flagged and suppressed days have no weight, and other unusual days have a reduced weight.
        """
        parameters, index = self._parameters, day.row + self._parameters.window_days
        used = day.alive & ~day.flagged & ~day.suppressed & ~day.is_rest_day
        idle = day.activity.is_intermittent & (day.spend <= parameters.floor_usd)
        # If neither the expected nor the actual spend exceeds the floor, the day says nothing about the noise.
        dormant = (day.expected < parameters.floor_usd) & (day.spend < parameters.floor_usd)
        downweighted = np.minimum(1, parameters.downweight_from_sigmas / np.maximum(np.abs(day.score), 1e-9))
        young = np.maximum(downweighted, _MIN_YOUNG_WEIGHT)
        weight = np.where(day.age < _TRUSTED_AGE_DAYS, 1, np.where(day.mature, downweighted, young))
        self._past[index] = self.log_spend[day.row]
        self._weight[index] = np.where(used, weight, 0)
        self._abs_residual[index] = np.abs(day.residual) / np.sqrt(1 + day.uncertainty)
        counted = used & ~idle & ~dormant & (day.age >= parameters.noise_min_age_days)
        noise_weight = np.where(day.age < parameters.settling_age_days, parameters.young_weight, 1)
        self._noise_weight[index] = noise_weight * counted
        step = parameters.long_term_trend_rate * (self.trend[day.row] - self.long_term_trend)
        self.long_term_trend += np.where(day.age >= parameters.settling_age_days, step, 0)
        self.scores[day.row] = np.where(used & ~idle, day.score, 0)
        self._estimate_noise(index)

    def _estimate_noise(self, index: int) -> None:
        """Estimate the noise as the root mean square of limited residuals, drawn towards the typical noise."""
        parameters = self._parameters
        window = slice(max(0, index + 1 - parameters.noise_window_days), index + 1)
        weights, residuals = self._noise_weight[window][::-1], self._abs_residual[window][::-1]
        ranked = np.sort(np.where(weights > 0, residuals, np.inf), axis=0)
        count = (weights > 0).sum(0)
        robust = _MAD_TO_SIGMA * _take_rank(ranked, count // 2)
        robust = np.maximum(np.where(np.isfinite(robust), robust, parameters.typical_noise), parameters.min_noise)
        squares = np.minimum(residuals, parameters.winsorize_at_sigmas * robust) ** 2
        long_term = self._root_mean_square(squares, weights * self._decay[: len(weights)])
        recent = self._root_mean_square(squares, weights * self._recent_decay[: len(weights)])
        self.noise = np.maximum(parameters.min_noise, np.minimum(long_term, parameters.recent_noise_cap * recent))

    def _root_mean_square(self, squares: Floats, weights: Floats) -> Floats:
        """Return the weighted root mean square of residuals, which for a series with few days is drawn towards the
        typical noise.
        """
        days = self._parameters.typical_noise_days
        typical = days * self._parameters.typical_noise**2
        mean: Floats = np.sqrt((typical + (weights * squares).sum(0)) / (days + weights.sum(0)))
        return mean

    def shift(self, column: int, until: int, change: float) -> None:
        """Shift the past of a series before day `until` by `change`, so that it fits a new level."""
        self._past[: until + self._parameters.window_days, column] += change

    def set_weights(self, column: int, first: int, row: int, weight: float) -> None:
        """Set the weight of the days from `first` to `row`, excluding `row`."""
        self._weight[first + self._parameters.window_days : row + self._parameters.window_days, column] = weight


def active_days(spend: Floats, row: int, parameters: Parameters) -> Flags:
    """Return on which days before `row` each series spent more than the floor, beginning with the newest day."""
    active = np.zeros((parameters.window_days, spend.shape[1]), bool)
    known = spend[max(0, row - parameters.window_days) : row][::-1]
    active[: len(known)] = known > parameters.floor_usd
    return active


def _take_rank(ranked: Floats, rank: np.ndarray) -> Floats:
    """Return one value per column: the value that has the given rank in its column."""
    values: Floats = np.take_along_axis(ranked, np.minimum(rank, len(ranked) - 1)[None], axis=0)[0]
    return values
