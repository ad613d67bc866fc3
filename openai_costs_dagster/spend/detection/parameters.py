"""The parameters of the detector and their values at each sensitivity.

The values were tuned on synthetic panels of `benchmarks/detection`, never on the published seeds 101 to 103.
Bounds in US dollars are multiples of the minimum impact, so scaling the amounts and the minimum impact by the same
factor scales every bound. Changes are measured on a log scale, where 0.25 is an increase of about 28 %.
A "sigma" is one standard deviation of a series' noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Self, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

Sensitivity = Literal["low", "medium", "high"]

Days = TypeVar("Days", float, NDArray[np.float64])

_MAX_LOG = 60.0  # log scale; larger predictions are cut so that `expm1` cannot overflow

SENSITIVITIES: tuple[Sensitivity, ...] = ("low", "medium", "high")


class _SensitivityValues(TypedDict):
    """The parameters whose values depend on the sensitivity."""

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
    """The parameters of the detector; the defaults are those of medium sensitivity."""

    # The test of a single day: `rules/outliers.py`.
    minimum_impact_usd: float = 5.0
    """The smallest difference from the expected amount that is flagged, in US dollars."""
    rise_sigmas: float = 3.4
    """The sigmas above the expected amount from which a day is unusually high.

    Raising the value by one false alert in ten costs half a point of recall and improves F1 on every tuning panel.
    """
    drop_sigmas: float = 5.35
    """The sigmas below the expected amount from which a day is unusually low.

    The value is larger than `rise_sigmas` because spend stops for many harmless reasons.
    """
    rise_share: float = 0.27
    """The minimum size of a flagged rise, as a share of the expected amount."""
    drop_share: float = 0.45
    """The minimum size of a flagged drop, as a share of the expected amount."""
    fading_share: float = 0.6
    """A series is fading if every one of its last `fading_days` days stayed below this share of the expected amount.

    An outage starts abruptly, so a drop that ends a fading series is not flagged.
    """
    fading_days: int = 5
    """The number of days over which a series counts as fading."""

    # A series that alerted recently has heavier tails, so its next alert needs more sigmas.
    sigmas_per_alert: float = 0.2
    """The additional sigmas that a single day needs for each recent alert of its series."""
    run_sigmas_per_alert: float = 0.1
    """The additional sigmas that a run of days needs for each recent alert of its series."""
    max_recent_alerts: int = 3
    """The largest number of recent alerts that counts."""
    recent_alert_days: int = 84
    """The number of days for which an alert counts as recent."""

    # The test of a run of days, whose spend is compared with the level known before its first day.
    run_lengths: tuple[int, ...] = (2, 3, 4, 5, 6, 8)
    """The lengths of the tested runs, in days."""
    run_rise_sigmas: float = 3.4
    """The sigmas from which a run of two days is unusually high."""
    run_drop_sigmas: float = 4.1
    """The sigmas from which a run is unusually low."""
    run_sigmas_discount: float = 0.2
    """The sigmas by which the bound falls each time the run is e (2.7) times as long.

    A month holds fewer independent long runs than short ones, so chance produces fewer of them.
    """
    run_min_impact: float = 1.0
    """The smallest difference of a run, in minimum impacts. The last day must exceed an equal share of it."""
    run_min_age_days: int = 28
    """The age of a series, at the start of a run, from which runs are tested, in days."""
    run_level_uncertainty: float = 0.5
    """The part of the prediction's variance that counts as uncertainty of the level before a run."""
    autocorrelation: float = 0.92
    """The correlation assumed between neighboring days when the variance of a mean over several days is computed."""
    new_level_days: int = 10
    """The number of days after a level change during which the new level is uncertain."""
    new_level_factor: float = 1.37
    """The factor by which the bound of a run, in sigmas, is raised during `new_level_days`."""

    # The test of a series without a history of its own.
    mature_age_days: int = 14
    """The age from which a series is compared with its own history, in days."""
    newcomer_total_sigmas: float = 3.7
    """The sigmas by which a total must deviate since a new series appeared in it."""

    # The baseline: `state/baseline.py`.
    window_days: int = 56
    """The number of days in the regression."""
    day_weight_decay: float = 0.975
    """The weight of a day relative to the weight of the following day."""
    transient_decay_days: float = 4.7
    """The number of days in which a temporary deviation of the level fades to 1/e."""
    transient_prior: float = 0.024
    """The prior standard deviation of a temporary deviation of the level, on the log scale."""
    weekly_trend_prior: float = 0.0108
    """The prior standard deviation of the trend, on the log scale per week."""
    long_term_trend_rate: float = 0.02
    """The share by which the long-term trend approaches the current trend each day."""
    weekday_prior: float = 0.13
    """The prior standard deviation of a weekday around the mean of working days or weekends, on the log scale."""
    some_weekdays_prior: float = 1.5
    """The value of `weekday_prior` for a series that spends on some working days only."""
    settling_age_days: int = 50
    """The age below which a series is still finding its level, in days."""
    young_day_weight_decay: float = 0.92
    """The value of `day_weight_decay` below `settling_age_days`."""
    young_weekly_trend_prior: float = 0.1
    """The value of `weekly_trend_prior` below `settling_age_days`, because a new series may grow steeply."""

    # The estimate of the noise: `state/history.py`.
    min_noise: float = 0.05
    """The smallest standard deviation of the noise, on the log scale (5 %)."""
    typical_noise: float = 0.2
    """The standard deviation assumed for a series without history, on the log scale."""
    typical_noise_days: float = 12
    """The weight of the prior `typical_noise`, as a number of days of history."""
    young_weight: float = 0.3
    """The weight of a day in the noise estimate below `settling_age_days`."""
    noise_min_age_days: int = 7
    """The age from which a day counts in the noise estimate, in days."""
    noise_window_days: int = 168
    """The number of days in the noise estimate."""
    noise_decay: float = 0.99
    """The weight of a day relative to the following day in the long-term noise estimate."""
    recent_noise_decay: float = 0.95
    """The weight of a day relative to the following day in the recent noise estimate."""
    recent_noise_cap: float = 1.05
    """The largest noise that the tests use, as a multiple of the recent estimate: calmer spend narrows the range."""
    winsorize_at_sigmas: float = 3.8
    """The robust sigmas to which a larger residual is reduced before it enters the noise estimate."""
    downweight_from_sigmas: float = 2.9
    """The sigmas from which a day weighs less in the regression."""
    rest_day_sigmas: float = 0.75
    """The sigmas below the expected amount from which a day of common rest, as on a holiday, leaves the baseline."""

    # Episodes and levels: `state/episodes.py`, `state/levels.py`.
    level_rise_flags: int = 5
    """The number of flagged days that must agree before their level becomes the normal level."""
    level_drop_flags: int = 4
    """The number of flagged low days after which their level becomes the normal level."""
    level_confirm_days: int = 5
    """The level of a run is accepted at once if the run began at least this number of days before its last day."""
    max_episode_days: int = 12
    """The number of days after which an episode ends and its level becomes the normal level."""
    continuation_share: float = 0.64
    """A day continues an episode if it has at least this share of the episode's median deviation, on the log scale."""
    continuation_sigmas: float = 2.0
    """The sigmas that a day of a continued episode must deviate from the expected amount."""

    # Recoveries: `rules/recoveries.py`.
    level_memory_days: int = 28
    """The number of days after a finding during which days at the level of the finding are not flagged again."""
    level_hold_share: float = 0.5
    """The share of the finding's level change that four of five days since then must reach."""
    level_break_sigmas: float = 4.5
    """The sigmas beyond the level of a recent finding from which a day is flagged again."""
    fall_back_days: int = 80
    """The number of days during which a return to an earlier, lower level is a recovery."""
    rise_back_days: int = 27
    """The number of days during which a return to an earlier, higher level is a recovery."""
    steep_rise: float = 0.2
    """The rise of the level in two weeks, on the log scale, from which a fall to the level before is a recovery."""

    # Suppressions: `rules/suppressions.py`.
    winding_down_drop: float = 0.2
    """The fall of the level in two weeks, on the log scale, from which further drops are suppressed."""

    # Intermittent series: `rules/intermittent.py`.
    intermittent_day_factor: float = 1.75
    """The multiple of the highest day in the window from which a single day is flagged."""
    intermittent_sum_factor: float = 2.5
    """The multiple of the highest earlier sum of equally many days from which a sum of days is flagged."""
    intermittent_sum_days: tuple[int, ...] = (3, 5)
    """The lengths of the tested sums, in days."""
    intermittent_few_days_margin: float = 4.0
    """The margin of the factors for single days and for sums, before its division by the number of active days.

    A maximum of few days is a poor estimate of the maximum of many days, so few active days get a large margin.
    """
    intermittent_run_lengths: tuple[int, ...] = (2, 3, 4, 5, 6)
    """The lengths, in days, of the runs in which days may be unusually high and frequent."""
    intermittent_extra_sigmas: float = 0.6
    """The sigmas beyond `run_rise_sigmas` from which a run of high and frequent days is flagged."""
    intermittent_level_uncertainty: float = 0.3
    """The value of `run_level_uncertainty` for intermittent series."""
    weekly_job_factor: float = 2.5
    """The multiple of the highest day in the window from which a day of a weekly job is flagged."""

    def run_sigmas(self, days: int) -> float:
        """Return the sigmas from which a run of `days` days is unusually high."""
        return self.run_rise_sigmas - self.run_sigmas_discount * math.log(days / 2)

    def mean_variance(self, days: Days) -> Days:
        """Return the variance of the mean of `days` neighboring days, in units of the noise's variance."""
        return (1 + self.autocorrelation * (1 - 1 / days)) / days

    @property
    def floor_usd(self) -> float:
        """The amount in US dollars below which amounts are not distinguished: the log scale is linear there."""
        return 0.1 * max(self.minimum_impact_usd, 0.01)

    def to_usd(self, logs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert values on the log scale to US dollars. The result is never negative."""
        return self.floor_usd * np.expm1(np.clip(logs, 0, _MAX_LOG))

    @classmethod
    def for_sensitivity(cls, sensitivity: Sensitivity, minimum_impact_usd: float) -> Self:
        """Return the parameters of a sensitivity with the given minimum impact in US dollars."""
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
    # High sensitivity trusts the noise of a young series' own history sooner.
    "typical_noise_days": 7.5,
    "young_weight": 1.0,
}
