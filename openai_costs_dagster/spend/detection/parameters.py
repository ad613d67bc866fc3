"""The parameters of the detector, and their values at each sensitivity.

The values were tuned on synthetic spend from `benchmarks/detection`, never on the seeds 101 to 103 whose results are
published. Bounds in US dollars are multiples of the minimum impact, so that they scale with the minimum impact. Changes
are measured on a log scale, on which 0.25 is a rise of about 28 %. A "sigma" is one standard deviation of the noise of
a series.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

Sensitivity = Literal["low", "medium", "high"]

Days = TypeVar("Days", float, NDArray[np.float64])

_MAX_LOG = 60.0  # The logarithm above which predictions are cut, so that `expm1` cannot overflow.

SENSITIVITIES: tuple[Sensitivity, ...] = ("low", "medium", "high")


class _SensitivityValues(TypedDict):
    """The values that differ between the sensitivities."""

    rise_sigmas: float
    drop_sigmas: float
    rise_share: float
    drop_share: float
    run_rise_sigmas: float
    run_drop_sigmas: float
    newcomer_total_sigmas: float
    typical_noise_days: float
    young_weight: float


@dataclass(frozen=True)
class Parameters:
    """The parameters of the detector. The defaults are the values of medium sensitivity."""

    # The next parameters belong to the test of a single day in `rules/outliers.py`.
    minimum_impact_usd: float = 5.0
    """The smallest difference from the expected amount that is flagged, in US dollars."""
    rise_sigmas: float = 3.4
    """The number of sigmas above the expected amount from which a day is unusually high.

    The value was raised until a tenth of the false alerts was gone. The change cost half a percentage point of recall,
    but improved the F1 score on every panel that was used for tuning.
    """
    drop_sigmas: float = 5.35
    """The number of sigmas below the expected amount from which a day is unusually low.

    The value is larger than `rise_sigmas`, because spend stops for many harmless reasons.
    """
    rise_share: float = 0.27
    """The smallest rise that is flagged, as a share of the expected amount."""
    drop_share: float = 0.45
    """The smallest drop that is flagged, as a share of the expected amount."""
    fading_share: float = 0.6
    """The share of the expected amount below which each of the last `fading_days` days must stay for a series to count
    as fading.

    A drop of a fading series is not flagged, because an outage begins abruptly.
    """
    fading_days: int = 5
    """The number of days for which a series must be low to count as fading."""

    # A series that was flagged recently deviates more often by chance, so its next flag needs more sigmas.
    sigmas_per_alert: float = 0.2
    """The additional sigmas that the test of a single day requires for each recent alert of the series."""
    run_sigmas_per_alert: float = 0.1
    """The additional sigmas that the test of a run of days requires for each recent alert of the series."""
    max_recent_alerts: int = 3
    """The largest number of recent alerts that raise the required sigmas."""
    recent_alert_days: int = 84
    """The number of days for which an alert counts as recent."""

    # The next parameters belong to the test of a run of days, which is compared with the level before its first day.
    run_lengths: tuple[int, ...] = (2, 3, 4, 5, 6, 8)
    """The numbers of days in the tested runs."""
    run_rise_sigmas: float = 3.4
    """The number of sigmas above the level from which a run of two days is unusually high."""
    run_drop_sigmas: float = 4.1
    """The number of sigmas below the level from which a run is unusually low."""
    run_sigmas_discount: float = 0.2
    """The sigmas by which the bound for high runs falls when a run becomes e (2.7) times as long.

    A month contains fewer independent long runs than short runs, so that fewer of them are high by chance.
    """
    run_min_impact: float = 1.0
    """The smallest total difference of a run that is flagged, as a multiple of the minimum impact.

    The last day of the run must differ by at least its equal share of this amount.
    """
    run_min_age_days: int = 28
    """The age in days that a series must have at the start of a run to be tested."""
    run_level_uncertainty: float = 0.5
    """The share of the prediction's variance that counts as uncertainty about the level before a run."""
    autocorrelation: float = 0.92
    """The assumed correlation of the noise on neighboring days, for the variance of a mean over several days."""
    new_level_days: int = 10
    """The number of days after a change of level for which the new level counts as uncertain."""
    new_level_factor: float = 1.37
    """The factor by which the required sigmas of a run are raised during `new_level_days`."""

    # The next parameters belong to the test of new series, which have no history of their own.
    mature_age_days: int = 14
    """The age in days from which a series is compared with its own history."""
    newcomer_total_sigmas: float = 3.7
    """The sigmas by which a total must have deviated since a new series appeared in it."""

    # The next parameters belong to the prediction in `state/baseline.py`.
    window_days: int = 56
    """The number of days before the evaluated day that the regression uses."""
    day_weight_decay: float = 0.975
    """The weight of a day in the regression, relative to the weight of the following day."""
    transient_decay_days: float = 4.7
    """The number of days in which a temporary deviation of the level decreases to 1/e."""
    transient_prior: float = 0.024
    """The prior standard deviation of a temporary deviation of the level, on the log scale."""
    weekly_trend_prior: float = 0.0108
    """The prior standard deviation of the trend, on the log scale per week."""
    long_term_trend_rate: float = 0.02
    """The share of the distance to the current trend by which the long-term trend moves each day."""
    weekday_prior: float = 0.13
    """The prior standard deviation of a weekday's difference from the other working days or weekend days, on the log
    scale.
    """
    some_weekdays_prior: float = 1.5
    """The value of `weekday_prior` for a series that spends only on some working days."""
    settling_age_days: int = 50
    """The age in days up to which the level of a new series is still changing."""
    young_day_weight_decay: float = 0.92
    """The value of `day_weight_decay` for a series that is younger than `settling_age_days`."""
    young_weekly_trend_prior: float = 0.1
    """The value of `weekly_trend_prior` for a series that is younger than `settling_age_days` and may grow steeply."""

    # The next parameters belong to the estimate of the noise in `state/history.py`.
    min_noise: float = 0.05
    """The smallest standard deviation of the noise, on the log scale. 0.05 is about 5 %."""
    typical_noise: float = 0.2
    """The standard deviation of the noise that is assumed for a series without history, on the log scale."""
    typical_noise_days: float = 12
    """The weight of the assumption `typical_noise`, as a number of days of history."""
    young_weight: float = 0.3
    """The weight of a day in the noise estimate while the series is younger than `settling_age_days`."""
    noise_min_age_days: int = 7
    """The age in days of a series from which its days count in the noise estimate."""
    noise_window_days: int = 168
    """The number of days before the evaluated day that the noise estimate uses."""
    noise_decay: float = 0.99
    """The weight of a day in the long-term noise estimate, relative to the following day."""
    recent_noise_decay: float = 0.95
    """The weight of a day in the recent noise estimate, relative to the following day."""
    recent_noise_cap: float = 1.05
    """The largest noise that the tests use, as a multiple of the recent noise estimate.

    Without this limit on the noise, the usual range would stay wide for weeks after spend has become calmer.
    """
    winsorize_at_sigmas: float = 3.8
    """The largest residual that enters the noise estimate, in robust sigmas.

    Larger residuals are reduced to the largest allowed residual.
    """
    downweight_from_sigmas: float = 2.9
    """The number of sigmas from which an unusual day has a reduced weight in the regression."""
    rest_day_sigmas: float = 0.75
    """The number of sigmas below the expected amount from which a day of rest does not influence later expectations."""

    # The next parameters belong to episodes and levels (`state/episodes.py`, `state/levels.py`).
    level_rise_flags: int = 5
    """The number of flagged days at about the same level after which this level becomes the normal level."""
    level_drop_flags: int = 4
    """The number of days flagged as drops after which their level becomes the normal level."""
    level_confirm_days: int = 5
    """The number of days before its last day at which a run must have begun for its level to become normal at once."""
    max_episode_days: int = 12
    """The number of days after which an episode ends, and its level becomes the normal level."""
    continuation_share: float = 0.64
    """The share of an episode's median deviation that a day must have to continue the episode, on the log scale."""
    continuation_sigmas: float = 2.0
    """The number of sigmas by which a day must deviate from the expected amount to continue an episode."""

    # The next parameters belong to the rule about recoveries in `rules/recoveries.py`.
    level_memory_days: int = 28
    """The number of days after a finding for which days at the level of the finding are not flagged again."""
    level_hold_share: float = 0.5
    """The share of the finding's change of level that four of five days since the finding must reach.

    If they do, the level of the finding becomes the normal level.
    """
    level_break_sigmas: float = 4.5
    """The number of sigmas beyond the level of a recent finding from which a day is flagged again."""
    fall_back_days: int = 80
    """The number of days after leaving a lower level for which a return to that level is a recovery."""
    rise_back_days: int = 27
    """The number of days after leaving a higher level for which a return to that level is a recovery."""
    steep_rise: float = 0.2
    """The smallest rise of the level in two weeks that counts as steep, on the log scale.

    A fall to the level before a steep rise is a recovery.
    """

    # The next parameter belongs to `rules/suppressions.py`.
    winding_down_drop: float = 0.2
    """The fall of the level in two weeks from which further drops are not flagged, on the log scale."""

    # The next parameters belong to the tests of intermittent series in `rules/intermittent.py`.
    intermittent_day_factor: float = 1.75
    """The multiple of the highest day in the window from which a single day is flagged."""
    intermittent_sum_factor: float = 2.5
    """The multiple of the highest earlier sum of as many days from which the sum of several days is flagged."""
    intermittent_sum_days: tuple[int, ...] = (3, 5)
    """The numbers of days whose sums are tested."""
    intermittent_few_days_margin: float = 4.0
    """The margin that is added to the factors for days and sums, divided by the number of active days.

    The highest of a few days is a poor estimate of the highest of many days, so that few active days need a large
    margin.
    """
    intermittent_run_lengths: tuple[int, ...] = (2, 3, 4, 5, 6)
    """The numbers of days in runs that are tested for high and frequent spend."""
    intermittent_extra_sigmas: float = 0.6
    """The sigmas in addition to `run_rise_sigmas` from which a run of high and frequent days is flagged."""
    intermittent_level_uncertainty: float = 0.3
    """The value of `run_level_uncertainty` for intermittent series."""
    weekly_job_factor: float = 2.5
    """The multiple of the highest day in the window from which a day of a weekly job is flagged."""

    def run_sigmas(self, days: int) -> float:
        """Return the number of sigmas from which a run of `days` days is unusually high."""
        return self.run_rise_sigmas - self.run_sigmas_discount * math.log(days / 2)

    def mean_variance(self, days: Days) -> Days:
        """Return the variance of the mean of `days` neighboring days, in units of the noise's variance."""
        return (1 + self.autocorrelation * (1 - 1 / days)) / days

    @property
    def floor_usd(self) -> float:
        """The amount in US dollars below which the log scale is almost linear and amounts hardly differ."""
        return 0.1 * max(self.minimum_impact_usd, 0.01)

    def to_usd(self, logs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert values on the log scale to US dollars, which are never negative."""
        return self.floor_usd * np.expm1(np.clip(logs, 0, _MAX_LOG))

    @classmethod
    def for_sensitivity(cls, sensitivity: Sensitivity, minimum_impact_usd: float) -> Self:
        """Return the parameters of a sensitivity. `minimum_impact_usd` is the minimum impact in US dollars."""
        if sensitivity == "medium":
            return cls(minimum_impact_usd)
        return cls(minimum_impact_usd, **(_LOW if sensitivity == "low" else _HIGH))


_LOW: _SensitivityValues = {
    "rise_sigmas": 5.4,
    "drop_sigmas": 7.2,
    "rise_share": 0.45,
    "drop_share": 0.6,
    "run_rise_sigmas": 4.8,
    "run_drop_sigmas": 6.0,
    "newcomer_total_sigmas": 5.0,
    "typical_noise_days": 12,
    "young_weight": 0.3,
}
_HIGH: _SensitivityValues = {
    "rise_sigmas": 3.1,
    "drop_sigmas": 4.1,
    "rise_share": 0.2,
    "drop_share": 0.3,
    "run_rise_sigmas": 2.9,
    "run_drop_sigmas": 3.3,
    "newcomer_total_sigmas": 3.0,
    # At high sensitivity, a young series is sooner evaluated by the noise of its own history.
    "typical_noise_days": 7.5,
    "young_weight": 1.0,
}
