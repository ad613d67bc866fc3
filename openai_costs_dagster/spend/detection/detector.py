"""The detector: finds unusual spend day by day, using only the data that was known at the end of each day.

A day is flagged if its spend is unlikely given the earlier spend of the series, and if the difference is large both in
US dollars and as a share of the expected amount. Flagged days do not influence later expectations. If spend stays at a
new level for several days, this level becomes the normal level.
"""

from __future__ import annotations

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Floats, Integers, Panel, true_columns
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.rules.migrations import Migrations
from openai_costs_dagster.spend.detection.rules.outliers import Outliers
from openai_costs_dagster.spend.detection.rules.recoveries import Recoveries
from openai_costs_dagster.spend.detection.rules.suppressions import Suppressions
from openai_costs_dagster.spend.detection.state.activity import classify_activity
from openai_costs_dagster.spend.detection.state.baseline import Baseline
from openai_costs_dagster.spend.detection.state.day import REASONS, Day
from openai_costs_dagster.spend.detection.state.episodes import Episodes
from openai_costs_dagster.spend.detection.state.history import History, active_days
from openai_costs_dagster.spend.detection.state.levels import Levels
from openai_costs_dagster.spend.detection.verdicts import Annotations, Verdicts

# The share of the minimum impact from which an unusual day is recorded as a minor deviation. Minor deviations are
# listed and never alerted.
_MINOR_IMPACT_SHARE = 0.2
# The smallest share of days with spend for which minor deviations of a series are recorded. Series that spend less
# often would give too many minor deviations.
_MINOR_ACTIVITY = 0.5
# A young series has no usual range. The upper bound of its spend is the first number times its highest day of the last
# week, plus the second number times the minimum impact.
_YOUNG_RANGE_FACTOR, _YOUNG_RANGE_IMPACTS = 4, 2


class Detector:
    """Finds unusual spend in one panel (daily spend by day and series). An instance can run only once."""

    def __init__(self, panel: Panel, parameters: Parameters, annotations: Annotations | None = None) -> None:
        days = len(panel.spend)
        annotations = annotations or Annotations()
        self._panel = panel
        self._parameters = parameters
        self._settled = np.ones(days, bool) if annotations.settled is None else annotations.settled
        self._known = np.ones(days, bool) if annotations.known is None else annotations.known
        self._expected = annotations.expected
        self._dates = panel.days
        self._baseline = Baseline(parameters)
        self._history = History(panel, parameters)
        self._levels = Levels(panel, parameters, self._history)
        self._episodes = Episodes(panel, parameters, self._history, self._levels)
        self._outliers = Outliers(panel, parameters, self._history, self._levels, self._episodes)
        self._suppressions = Suppressions(panel, parameters, self._history, self._levels)
        self._recoveries = Recoveries(parameters, self._history, self._levels, self._episodes)
        self._migrations = Migrations(panel, parameters, self._history, self._levels)
        self._verdicts = Verdicts.empty(panel.spend.shape)

    def run(self) -> Verdicts:
        """Return the results for every day of every series.

        Results before the first day or after the last day of a series have no meaning.
        """
        for row in range(len(self._panel.spend)):
            day = self._predict(row)
            if self._migrations.revert_coincidences(day):
                day = self._predict(row)
            self._outliers.apply(day)
            # The outlier tests have set all flags, and the steps below only remove them. The order matters: days that a
            # suppression has unflagged must not change a level in the steps after it.
            self._adopt_expected_days(day)
            self._suppressions.apply(day)
            self._recoveries.apply(day)
            self._migrations.apply(day)
            self._record_verdicts(day)
            self._history.record_day(day)
            self._episodes.update(day)
        return self._verdicts

    def _predict(self, row: int) -> Day:
        """Return a day with the expected spend of each series, predicted from the days before it.

        No series is flagged yet.
        """
        panel, parameters, history = self._panel, self._parameters, self._history
        date, spend, age = self._dates[row], panel.spend[row], row - panel.first_row
        active = active_days(panel.spend, row, parameters)
        activity = classify_activity(active, age, date.weekday())
        past, weights = history.past(row)
        prediction = self._baseline.predict(
            date.weekday(),
            past,
            # On days without spend, an intermittent series says nothing about its level, so only its active days count.
            weights * (active | ~activity.is_intermittent),
            history.noise,
            np.where(activity.on_some_weekdays, parameters.some_weekdays_prior, parameters.weekday_prior),
            history.settled_days(row, age),
            history.long_term_trend,
        )
        history.record_prediction(row, prediction, known=bool(self._known[row]))
        spread = history.noise * np.sqrt(1 + prediction.uncertainty)
        alive = (age >= 0) & (row <= panel.last_row) & self._known[row]
        mature = alive & (age >= parameters.mature_age_days)
        expected = np.where(age > 0, parameters.to_usd(prediction.value), 0)
        recent_alerts = self._episodes.recent_alerts(row)
        lower, upper = self._range(row, prediction.value, spread, expected, mature, recent_alerts)
        residual = history.log_spend[row] - prediction.value
        return Day(
            row=row,
            date=date,
            spend=spend,
            age=age,
            alive=alive,
            mature=mature,
            settled=bool(self._settled[row]),
            activity=activity,
            uncertainty=prediction.uncertainty,
            spread=spread,
            weekday_effect=prediction.value - prediction.level,
            expected=expected,
            lower=lower,
            upper=upper,
            residual=residual,
            score=residual / spread,
            recent_alerts=recent_alerts,
            outside_episode=~self._episodes.is_open,
            began_row=np.full(len(age), row),
            rise=np.zeros(len(age), bool),
            drop=np.zeros(len(age), bool),
            suppressed=np.zeros(len(age), bool),
            is_rest_day=np.zeros(len(age), bool),
            reason=np.where(alive & ~mature, "young", "").astype(REASONS),
        )

    def _range(
        self, row: int, log_spend: Floats, spread: Floats, expected: Floats, mature: Flags, recent_alerts: Integers
    ) -> tuple[Floats, Floats]:
        """Return the bounds in US dollars within which the spend of a single day is not flagged.

        A day outside the bounds is statistically unusual, differs by the minimum impact, and differs by the required
        share of the expected amount. The bounds of a young series depend on its highest day of the last week.
        """
        parameters, impact = self._parameters, self._parameters.minimum_impact_usd
        rise_sigmas = parameters.rise_sigmas + parameters.sigmas_per_alert * recent_alerts
        unusually_high = parameters.to_usd(log_spend + rise_sigmas * spread)
        unusually_low = parameters.to_usd(log_spend - parameters.drop_sigmas * spread)
        upper = np.maximum.reduce([unusually_high, expected * (1 + parameters.rise_share), expected + impact])
        lower = np.minimum.reduce([unusually_low, expected * (1 - parameters.drop_share), expected - impact])
        week = self._panel.spend[max(0, row - 7) : row]
        highest = week.max(0) if len(week) else np.zeros_like(expected)
        young_upper = _YOUNG_RANGE_FACTOR * highest + _YOUNG_RANGE_IMPACTS * impact
        return np.where(mature, lower, 0), np.where(mature, upper, young_upper)

    def _adopt_expected_days(self, day: Day) -> None:
        """Remove the flags of days that a person marked as expected, and make their level the normal level."""
        if self._expected is not None:
            for column in true_columns(self._expected[day.row] & day.flagged):
                self._levels.adopt(column, day, "expected")

    def _record_verdicts(self, day: Day) -> None:
        verdicts, row, parameters = self._verdicts, day.row, self._parameters
        noticeable = np.abs(day.difference) > _MINOR_IMPACT_SHARE * parameters.minimum_impact_usd
        rise_sigmas = parameters.rise_sigmas + parameters.sigmas_per_alert * day.recent_alerts
        unusual = np.abs(day.score) > np.where(day.score > 0, rise_sigmas, parameters.drop_sigmas)
        unusual &= day.settled | (day.score > 0)
        regular = day.is_mostly_active(_MINOR_ACTIVITY, parameters.window_days) & ~day.activity.is_intermittent
        unexplained = (day.reason == "") & regular
        verdicts.flagged[row] = day.flagged
        verdicts.minor[row] = day.mature & ~day.flagged & unusual & noticeable & unexplained
        verdicts.score[row] = day.score
        verdicts.expected[row] = day.expected
        verdicts.lower[row] = day.shown_lower
        verdicts.upper[row] = day.upper
        verdicts.reason[row] = day.reason
        for column in true_columns(day.flagged):
            verdicts.tests[row, column] = day.failed_test(column)
