"""Walks through a panel day by day and judges every series by what was known at the end of that day.

A day is flagged when it lies outside what its own past makes likely **and** is relatively **and** absolutely far off;
flagged days stay out of the baseline. Calendar, recoveries and migrations may only excuse. A level that holds for some
days becomes the normal one.
"""

from __future__ import annotations

import numpy as np

from openai_costs_dagster.spend.detection.panel import Flags, Floats, Integers, Panel, columns_of
from openai_costs_dagster.spend.detection.parameters import Tuning
from openai_costs_dagster.spend.detection.rules.migrations import Migrations
from openai_costs_dagster.spend.detection.rules.outliers import Suspicion
from openai_costs_dagster.spend.detection.rules.recoveries import Recoveries
from openai_costs_dagster.spend.detection.rules.suppressions import Excuses
from openai_costs_dagster.spend.detection.state.activity import rhythm_of
from openai_costs_dagster.spend.detection.state.baseline import Regression
from openai_costs_dagster.spend.detection.state.day import REASONS, Day
from openai_costs_dagster.spend.detection.state.episodes import Events
from openai_costs_dagster.spend.detection.state.history import Memory, active_days
from openai_costs_dagster.spend.detection.state.levels import Levels
from openai_costs_dagster.spend.detection.verdicts import Circumstances, Verdicts

_NOTICED = 0.2  # of the minimum impact: what is unusual and smaller is not even kept


class Walk:
    """Judges a panel once."""

    def __init__(self, panel: Panel, tuning: Tuning, circumstances: Circumstances | None = None) -> None:
        days = len(panel.spend)
        given = circumstances or Circumstances()
        self._panel = panel
        self._tuning = tuning
        self._settled = np.ones(days, bool) if given.settled is None else given.settled
        self._known = np.ones(days, bool) if given.known is None else given.known
        self._expected = given.expected
        self._dates = panel.days
        self._regression = Regression(tuning)
        self._memory = Memory(panel, tuning)
        self._levels = Levels(panel, tuning, self._memory)
        self._events = Events(panel, tuning, self._memory, self._levels)
        self._suspicion = Suspicion(panel, tuning, self._memory, self._levels, self._events)
        self._excuses = Excuses(panel, tuning, self._memory, self._levels)
        self._recoveries = Recoveries(tuning, self._memory, self._levels, self._events)
        self._migrations = Migrations(panel, tuning, self._memory, self._levels)
        self._verdicts = Verdicts.empty(panel.spend.shape)

    def judge(self) -> Verdicts:
        """Every day of every series; rows outside a series' life mean nothing."""
        for row in range(len(self._panel.spend)):
            day = self._expect(row)
            if self._migrations.doubted(day):
                day = self._expect(row)
            self._suspicion.raise_on(day)
            self._take_what_was_said(day)
            self._excuses.consider(day)
            self._recoveries.recognise(day)
            self._migrations.recognise(day)
            self._write(day)
            self._memory.note_day(day)
            self._events.follow(day)
        return self._verdicts

    def _expect(self, row: int) -> Day:
        panel, tuning, memory = self._panel, self._tuning, self._memory
        date, spend, age = self._dates[row], panel.spend[row], row - panel.born
        active = active_days(panel.spend, row, tuning)
        rhythm = rhythm_of(active, age, date.weekday())
        past, weights = memory.past(row)
        found = self._regression.predict(
            date.weekday(),
            past,
            weights * (active | ~rhythm.now_and_then),
            memory.noise,
            np.where(rhythm.by_weekday, tuning.odd_weekday_spread, tuning.weekday_spread),
            memory.settled_for(row, age),
            memory.usual_trend,
        )
        memory.note_prediction(row, found, known=bool(self._known[row]))
        spread = memory.noise * np.sqrt(1 + found.uncertainty)
        alive = (age >= 0) & (row <= panel.last) & self._known[row]
        mature = alive & (age >= tuning.mature)
        expected = np.where(age > 0, tuning.dollars(found.value), 0)
        alerts = self._events.lately(row)
        lower, upper = self._range(row, found.value, spread, expected, mature, alerts)
        residual = memory.logs[row] - found.value
        return Day(
            row=row,
            date=date,
            spend=spend,
            age=age,
            alive=alive,
            mature=mature,
            settled=bool(self._settled[row]),
            rhythm=rhythm,
            uncertainty=found.uncertainty,
            spread=spread,
            week_effect=found.value - found.level,
            expected=expected,
            lower=lower,
            upper=upper,
            residual=residual,
            score=residual / spread,
            alerts=alerts,
            fresh=~self._events.is_open,
            began=np.full(len(age), row),
            up=np.zeros(len(age), bool),
            down=np.zeros(len(age), bool),
            excused=np.zeros(len(age), bool),
            unlike=np.zeros(len(age), bool),
            reason=np.where(alive & ~mature, "young", "").astype(REASONS),
        )

    def _range(
        self, row: int, logs: Floats, spread: Floats, expected: Floats, mature: Flags, alerts: Integers
    ) -> tuple[Floats, Floats]:
        """Within which a day is usual or not worth anyone's time; for young series what would make them explode."""
        tuning, impact = self._tuning, self._tuning.minimum_impact
        above = tuning.dollars(logs + (tuning.deviations + tuning.alerted * alerts) * spread)
        below = tuning.dollars(logs - tuning.deviations_down * spread)
        upper = np.maximum.reduce([above, expected * (1 + tuning.relative), expected + impact])
        lower = np.minimum.reduce([below, expected * (1 - tuning.relative_down), expected - impact])
        week = self._panel.spend[max(0, row - 7) : row]
        highest = week.max(0) if len(week) else np.zeros_like(expected)
        return np.where(mature, lower, 0), np.where(mature, upper, 4 * highest + 2 * impact)

    def _take_what_was_said(self, day: Day) -> None:
        if self._expected is not None:
            for column in columns_of(self._expected[day.row] & day.out):
                self._levels.take(column, day, "expected")

    def _write(self, day: Day) -> None:
        verdicts, row, tuning = self._verdicts, day.row, self._tuning
        small = np.abs(day.difference) > _NOTICED * tuning.minimum_impact
        above = tuning.deviations + tuning.alerted * day.alerts
        unusual = np.abs(day.score) > np.where(day.score > 0, above, tuning.deviations_down)
        unusual &= day.settled | (day.score > 0)
        plain = (day.reason == "") & day.often(0.5, tuning.window) & ~day.rhythm.now_and_then
        verdicts.flagged[row] = day.out
        verdicts.noticed[row] = day.mature & ~day.out & unusual & small & plain
        verdicts.score[row] = day.score
        verdicts.expected[row] = day.expected
        verdicts.lower[row] = day.shown_lower
        verdicts.upper[row] = day.upper
        verdicts.reason[row] = day.reason
        for column in columns_of(day.out):
            verdicts.tests[row, column] = day.failed_test(column)
