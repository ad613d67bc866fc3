"""What is kept of the days that were judged: the clean past, the noise around it, and the level that it had each day.

Arrays that a window is read from have the window's length of empty rows in front, so that the window before day `row`
begins at row `row`.
"""

from __future__ import annotations

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Floats, Integers, Panel
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.state.baseline import Prediction
from openai_costs_dagster.spend.detection.state.day import Day

_TO_DEVIATION = 1.4826  # the median of absolute normal noise in standard deviations
_BEGUN = 10  # the age in days from which on it is looked at whether a series is being adopted
_ADOPTED = 0.3  # on the log scale: a rise of the level that says so
_STEEPEST_TREND = 0.012  # a day; what grows faster is not extrapolated


class History:
    """By day and series, on the log scale: 0 is nothing, and the tuning's floor is log 2."""

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
        """How a series has mostly grown, per day."""
        self.deseasonalized = np.zeros((days, count))
        """Each day without its weekday's effect."""
        self.noise = np.full(count, parameters.typical_noise)
        self._fading_soon = parameters.recent_noise_decay ** np.arange(1, parameters.noise_window_days + 1)[:, None]
        self._fading = parameters.noise_decay ** np.arange(1, parameters.noise_window_days + 1)[:, None]

    def past(self, row: int) -> tuple[Floats, Floats]:
        """The window before a day and what its days weigh, the day before first."""
        window = slice(row, row + self._parameters.window_days)
        return self._past[window][::-1], self._weight[window][::-1]

    def above(self, column: int, first: int, row: int) -> Floats:
        """How far the days from `first` to `row` are above the level that was known before the first of them."""
        above: Floats = self.deseasonalized[first : row + 1, column] - self.level[first, column]
        return above

    def weights(self, first: int, row: int) -> Floats:
        """What the days from `first` until before `row` weigh."""
        return self._weight[first + self._parameters.window_days : row + self._parameters.window_days]

    def settled_days(self, row: int, age: Integers) -> Integers:
        """For how many days a series that came up from little is no longer restless; of others, the whole window."""
        parameters = self._parameters
        settling = np.flatnonzero(age == parameters.settling_age_days)
        if len(settling):
            risen = self.level[row - 1, settling] - self.level[row - parameters.settling_age_days + _BEGUN, settling]
            self._is_adopted[settling] = risen > _ADOPTED
        since = np.clip(age - parameters.settling_age_days + 1, 0, parameters.window_days)
        return np.where(self._is_adopted | (age < parameters.settling_age_days), since, parameters.window_days)

    def record_prediction(self, row: int, found: Prediction, *, known: bool) -> None:
        """Keeps what was thought of the level when the day began; an unknown day is taken to be on it."""
        self.level[row] = found.level
        self.trend[row] = np.clip(found.trend, -_STEEPEST_TREND, _STEEPEST_TREND)
        self.deseasonalized[row] = self.log_spend[row] - (found.value - found.level) if known else found.level

    def record_day(self, day: Day) -> None:
        """Takes a judged day into the past: flagged and excused days weigh nothing, odd ones less."""
        parameters, here = self._parameters, day.row + self._parameters.window_days
        taken = day.alive & ~day.flagged & ~day.suppressed & ~day.is_rest_day
        idle = day.activity.is_intermittent & (day.spend <= parameters.floor_usd)
        asleep = (day.expected < parameters.floor_usd) & (day.spend < parameters.floor_usd)
        blunted = np.minimum(1, parameters.downweight_from_sigmas / np.maximum(np.abs(day.score), 1e-9))
        weight = np.where(day.age < 3, 1, np.where(day.mature, blunted, np.maximum(blunted, 0.3)))
        self._past[here] = self.log_spend[day.row]
        self._weight[here] = np.where(taken, weight, 0)
        self._abs_residual[here] = np.abs(day.residual) / np.sqrt(1 + day.uncertainty)
        counted = taken & ~idle & ~asleep & (day.age >= parameters.noise_min_age_days)
        self._noise_weight[here] = (
            np.where(day.age < parameters.settling_age_days, parameters.young_weight, 1) * counted
        )
        learned = parameters.long_term_trend_rate * (self.trend[day.row] - self.long_term_trend)
        self.long_term_trend += np.where(day.age >= parameters.settling_age_days, learned, 0)
        self.scores[day.row] = np.where(taken & ~idle, day.score, 0)
        self._estimate_noise(here)

    def _estimate_noise(self, here: int) -> None:
        """The root mean square of surprises once outliers are cut, drawn towards what is usual while days are few."""
        parameters = self._parameters
        window = slice(max(0, here + 1 - parameters.noise_window_days), here + 1)
        counted, surprise = self._noise_weight[window][::-1], self._abs_residual[window][::-1]
        ranked = np.sort(np.where(counted > 0, surprise, np.inf), axis=0)
        count = (counted > 0).sum(0)
        typical = _TO_DEVIATION * _ranked(ranked, count // 2)
        typical = np.maximum(np.where(np.isfinite(typical), typical, parameters.typical_noise), parameters.min_noise)
        cut = np.minimum(surprise, parameters.winsorize_at_sigmas * typical) ** 2
        long = self._root_mean_square(cut, counted * self._fading[: len(counted)])
        lately = self._root_mean_square(cut, counted * self._fading_soon[: len(counted)])
        self.noise = np.maximum(parameters.min_noise, np.minimum(long, parameters.recent_noise_cap * lately))

    def _root_mean_square(self, squares: Floats, weights: Floats) -> Floats:
        """Drawn towards what is usual while days are few."""
        days = self._parameters.typical_noise_days
        usual = days * self._parameters.typical_noise**2
        mean: Floats = np.sqrt((usual + (weights * squares).sum(0)) / (days + weights.sum(0)))
        return mean

    def shift(self, column: int, until: int, change: float) -> None:
        """Moves the past before a day to where it would have been on another level."""
        self._past[: until + self._parameters.window_days, column] += change

    def set_weights(self, column: int, first: int, row: int, weight: float) -> None:
        """Says anew what the days from `first` until before `row` weigh."""
        self._weight[first + self._parameters.window_days : row + self._parameters.window_days, column] = weight


def active_days(spend: Floats, row: int, parameters: Parameters) -> Flags:
    """Which days of the window before a day had spend worth the name, the day before first."""
    active = np.zeros((parameters.window_days, spend.shape[1]), bool)
    known = spend[max(0, row - parameters.window_days) : row][::-1]
    active[: len(known)] = known > parameters.floor_usd
    return active


def _ranked(ranked: Floats, place: np.ndarray) -> Floats:
    found: Floats = np.take_along_axis(ranked, np.minimum(place, len(ranked) - 1)[None], axis=0)[0]
    return found
