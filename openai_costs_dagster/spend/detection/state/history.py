"""What is kept of the days that were judged: the clean past, the noise around it, and the level that it had each day.

Arrays that a window is read from have the window's length of empty rows in front, so that the window before day `row`
begins at row `row`.
"""

from __future__ import annotations

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Floats, Integers, Panel
from openai_costs_dagster.spend.detection.parameters import Tuning
from openai_costs_dagster.spend.detection.state.baseline import Prediction
from openai_costs_dagster.spend.detection.state.day import Day

_TO_DEVIATION = 1.4826  # the median of absolute normal noise in standard deviations
_BEGUN = 10  # the age in days from which on it is looked at whether a series is being adopted
_ADOPTED = 0.3  # on the log scale: a rise of the level that says so
_STEEPEST_TREND = 0.012  # a day; what grows faster is not extrapolated


class Memory:
    """By day and series, on the log scale: 0 is nothing, and the tuning's floor is log 2."""

    def __init__(self, panel: Panel, tuning: Tuning) -> None:
        self._tuning = tuning
        self.logs = np.log1p(np.maximum(panel.spend, 0) / tuning.floor)
        days, count = self.logs.shape
        padded = (days + tuning.window, count)
        self._past = np.zeros(padded)
        self._weight = np.zeros(padded)
        self._surprise = np.zeros(padded)
        self._counted = np.zeros(padded)
        self.scores = np.zeros((days, count))
        self.level = np.zeros((days, count))
        self.trend = np.zeros((days, count))
        self._adopted = np.zeros(count, bool)
        self.usual_trend = np.zeros(count)
        """How a series has mostly grown, per day."""
        self.flat = np.zeros((days, count))
        """Each day without its weekday's effect."""
        self.noise = np.full(count, tuning.usual_noise)
        self._fading_soon = tuning.noise_memory_soon ** np.arange(1, tuning.noise_window + 1)[:, None]
        self._fading = tuning.noise_memory ** np.arange(1, tuning.noise_window + 1)[:, None]

    def past(self, row: int) -> tuple[Floats, Floats]:
        """The window before a day and what its days weigh, the day before first."""
        window = slice(row, row + self._tuning.window)
        return self._past[window][::-1], self._weight[window][::-1]

    def above(self, column: int, first: int, row: int) -> Floats:
        """How far the days from `first` to `row` are above the level that was known before the first of them."""
        above: Floats = self.flat[first : row + 1, column] - self.level[first, column]
        return above

    def weights(self, first: int, row: int) -> Floats:
        """What the days from `first` until before `row` weigh."""
        return self._weight[first + self._tuning.window : row + self._tuning.window]

    def settled_for(self, row: int, age: Integers) -> Integers:
        """For how many days a series that came up from little is no longer restless; of others, the whole window."""
        tuning = self._tuning
        settling = np.flatnonzero(age == tuning.restless)
        if len(settling):
            risen = self.level[row - 1, settling] - self.level[row - tuning.restless + _BEGUN, settling]
            self._adopted[settling] = risen > _ADOPTED
        since = np.clip(age - tuning.restless + 1, 0, tuning.window)
        return np.where(self._adopted | (age < tuning.restless), since, tuning.window)

    def note_prediction(self, row: int, found: Prediction, *, known: bool) -> None:
        """Keeps what was thought of the level when the day began; an unknown day is taken to be on it."""
        self.level[row] = found.level
        self.trend[row] = np.clip(found.trend, -_STEEPEST_TREND, _STEEPEST_TREND)
        self.flat[row] = self.logs[row] - (found.value - found.level) if known else found.level

    def note_day(self, day: Day) -> None:
        """Takes a judged day into the past: flagged and excused days weigh nothing, odd ones less."""
        tuning, here = self._tuning, day.row + self._tuning.window
        taken = day.alive & ~day.out & ~day.excused & ~day.unlike
        idle = day.rhythm.now_and_then & (day.spend <= tuning.floor)
        asleep = (day.expected < tuning.floor) & (day.spend < tuning.floor)
        blunted = np.minimum(1, tuning.blunt / np.maximum(np.abs(day.score), 1e-9))
        weight = np.where(day.age < 3, 1, np.where(day.mature, blunted, np.maximum(blunted, 0.3)))
        self._past[here] = self.logs[day.row]
        self._weight[here] = np.where(taken, weight, 0)
        self._surprise[here] = np.abs(day.residual) / np.sqrt(1 + day.uncertainty)
        counted = taken & ~idle & ~asleep & (day.age >= tuning.noise_from)
        self._counted[here] = np.where(day.age < tuning.restless, tuning.youth, 1) * counted
        learned = tuning.trend_rate * (self.trend[day.row] - self.usual_trend)
        self.usual_trend += np.where(day.age >= tuning.restless, learned, 0)
        self.scores[day.row] = np.where(taken & ~idle, day.score, 0)
        self._estimate_noise(here)

    def _estimate_noise(self, here: int) -> None:
        """The root mean square of surprises once outliers are cut, drawn towards what is usual while days are few."""
        tuning = self._tuning
        window = slice(max(0, here + 1 - tuning.noise_window), here + 1)
        counted, surprise = self._counted[window][::-1], self._surprise[window][::-1]
        ranked = np.sort(np.where(counted > 0, surprise, np.inf), axis=0)
        count = (counted > 0).sum(0)
        typical = _TO_DEVIATION * _ranked(ranked, count // 2)
        typical = np.maximum(np.where(np.isfinite(typical), typical, tuning.usual_noise), tuning.least_noise)
        cut = np.minimum(surprise, tuning.cut * typical) ** 2
        long = self._root_mean_square(cut, counted * self._fading[: len(counted)])
        lately = self._root_mean_square(cut, counted * self._fading_soon[: len(counted)])
        self.noise = np.maximum(tuning.least_noise, np.minimum(long, tuning.calmer * lately))

    def _root_mean_square(self, squares: Floats, weights: Floats) -> Floats:
        """Drawn towards what is usual while days are few."""
        days = self._tuning.usual_noise_days
        usual = days * self._tuning.usual_noise**2
        mean: Floats = np.sqrt((usual + (weights * squares).sum(0)) / (days + weights.sum(0)))
        return mean

    def move(self, column: int, until: int, change: float) -> None:
        """Moves the past before a day to where it would have been on another level."""
        self._past[: until + self._tuning.window, column] += change

    def weigh(self, column: int, first: int, row: int, weight: float) -> None:
        """Says anew what the days from `first` until before `row` weigh."""
        self._weight[first + self._tuning.window : row + self._tuning.window, column] = weight


def active_days(spend: Floats, row: int, tuning: Tuning) -> Flags:
    """Which days of the window before a day had spend worth the name, the day before first."""
    active = np.zeros((tuning.window, spend.shape[1]), bool)
    known = spend[max(0, row - tuning.window) : row][::-1]
    active[: len(known)] = known > tuning.floor
    return active


def _ranked(ranked: Floats, place: np.ndarray) -> Floats:
    found: Floats = np.take_along_axis(ranked, np.minimum(place, len(ranked) - 1)[None], axis=0)[0]
    return found
