"""Walks through a panel day by day and judges every series by what was known at the end of that day.

A day is flagged when it lies outside what its own past makes likely **and** is relatively **and** absolutely far off;
flagged days stay out of the baseline. Calendar, recoveries and migrations may only excuse. A level that holds for some
days becomes the normal one.
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

_MINOR_IMPACT_SHARE = 0.2  # of the minimum impact: what is unusual and smaller is not even kept


class Detector:
    """Judges a panel once."""

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
        """Every day of every series; rows outside a series' life mean nothing."""
        for row in range(len(self._panel.spend)):
            day = self._predict(row)
            if self._migrations.revoke_doubtful(day):
                day = self._predict(row)
            self._outliers.apply(day)
            self._apply_expected(day)
            self._suppressions.apply(day)
            self._recoveries.apply(day)
            self._migrations.apply(day)
            self._record(day)
            self._history.record_day(day)
            self._episodes.update(day)
        return self._verdicts

    def _predict(self, row: int) -> Day:
        panel, parameters, history = self._panel, self._parameters, self._history
        date, spend, age = self._dates[row], panel.spend[row], row - panel.born
        active = active_days(panel.spend, row, parameters)
        activity = classify_activity(active, age, date.weekday())
        past, weights = history.past(row)
        found = self._baseline.predict(
            date.weekday(),
            past,
            weights * (active | ~activity.is_intermittent),
            history.noise,
            np.where(activity.on_some_weekdays, parameters.some_weekdays_prior, parameters.weekday_prior),
            history.settled_days(row, age),
            history.long_term_trend,
        )
        history.record_prediction(row, found, known=bool(self._known[row]))
        spread = history.noise * np.sqrt(1 + found.uncertainty)
        alive = (age >= 0) & (row <= panel.last) & self._known[row]
        mature = alive & (age >= parameters.mature_age_days)
        expected = np.where(age > 0, parameters.to_usd(found.value), 0)
        recent_alerts = self._episodes.lately(row)
        lower, upper = self._range(row, found.value, spread, expected, mature, recent_alerts)
        residual = history.log_spend[row] - found.value
        return Day(
            row=row,
            date=date,
            spend=spend,
            age=age,
            alive=alive,
            mature=mature,
            settled=bool(self._settled[row]),
            activity=activity,
            uncertainty=found.uncertainty,
            spread=spread,
            weekday_effect=found.value - found.level,
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
        """Within which a day is usual or not worth anyone's time; for young series what would make them explode."""
        parameters, impact = self._parameters, self._parameters.minimum_impact_usd
        above = parameters.to_usd(
            log_spend + (parameters.rise_sigmas + parameters.sigmas_per_alert * recent_alerts) * spread
        )
        below = parameters.to_usd(log_spend - parameters.drop_sigmas * spread)
        upper = np.maximum.reduce([above, expected * (1 + parameters.rise_share), expected + impact])
        lower = np.minimum.reduce([below, expected * (1 - parameters.drop_share), expected - impact])
        week = self._panel.spend[max(0, row - 7) : row]
        highest = week.max(0) if len(week) else np.zeros_like(expected)
        return np.where(mature, lower, 0), np.where(mature, upper, 4 * highest + 2 * impact)

    def _apply_expected(self, day: Day) -> None:
        if self._expected is not None:
            for column in true_columns(self._expected[day.row] & day.flagged):
                self._levels.adopt(column, day, "expected")

    def _record(self, day: Day) -> None:
        verdicts, row, parameters = self._verdicts, day.row, self._parameters
        small = np.abs(day.difference) > _MINOR_IMPACT_SHARE * parameters.minimum_impact_usd
        above = parameters.rise_sigmas + parameters.sigmas_per_alert * day.recent_alerts
        unusual = np.abs(day.score) > np.where(day.score > 0, above, parameters.drop_sigmas)
        unusual &= day.settled | (day.score > 0)
        plain = (day.reason == "") & day.is_mostly_active(0.5, parameters.window_days) & ~day.activity.is_intermittent
        verdicts.flagged[row] = day.flagged
        verdicts.minor[row] = day.mature & ~day.flagged & unusual & small & plain
        verdicts.score[row] = day.score
        verdicts.expected[row] = day.expected
        verdicts.lower[row] = day.shown_lower
        verdicts.upper[row] = day.upper
        verdicts.reason[row] = day.reason
        for column in true_columns(day.flagged):
            verdicts.tests[row, column] = day.failed_test(column)
