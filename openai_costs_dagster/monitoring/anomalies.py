"""Judges an organization's stored days: its spend at every level through the detector, and what was found in words."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import partial
from itertools import groupby

import numpy as np

from openai_costs_dagster.charts import png, svg
from openai_costs_dagster.configuration import Anomalies
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.monitoring.findings import DayEvaluation, cents, segments_of
from openai_costs_dagster.monitoring.other_findings import price_findings, severity, vanished_days
from openai_costs_dagster.records import NO_VALUE, SeriesKey
from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.detection.detector import Detector
from openai_costs_dagster.spend.detection.panel import NO_PARENT, Flags, Panel, Spend, build_panel, true_columns
from openai_costs_dagster.spend.detection.parameters import Parameters
from openai_costs_dagster.spend.detection.root_causes import Cause, Flag, find_root_causes, merge_by_owner, overlap
from openai_costs_dagster.spend.detection.state.day import FailedTest
from openai_costs_dagster.spend.detection.verdicts import Annotations, Verdicts
from openai_costs_dagster.spend.explanation import DisplayNames, Figures, ParentTotal, explain
from openai_costs_dagster.spend.price_volume_mix import Segment
from openai_costs_dagster.warehouse import anomalies
from openai_costs_dagster.warehouse.anomalies import Feedback, Finding
from openai_costs_dagster.warehouse.database import Connection

_HISTORY_DAYS = 240
_REFERENCE_WEEKS = 4
_WEEK = 7
_CHART_DAYS = 60
_MOST = 0.6
_NEWS = 2  # times what was reported, as for incidents
_ZERO = Decimal(0)


def first_history_day(day: dt.date) -> dt.date:
    """Return the first UTC day of the history that a day is evaluated with: the first day of a month, 240 days back.

    It depends on the day alone, so a day is evaluated with the same history whether it is evaluated alone or in a
    range, today or next year, and a whole month is evaluated in one pass. The detector looks back half a year at most
    (`noise_window`). On the panels of ``benchmarks/detection`` a longer history changes three flags in a hundred, as
    many gained as lost. An organization that spent nothing in all this time is not new again; a project, model, API key
    or user is.
    """
    return (day - _HISTORY_DAYS * ONE_DAY).replace(day=1)


def evaluate_days(
    connection: Connection, organization: str, settings: Anomalies, days: Iterable[dt.date], *, users: bool = False
) -> dict[dt.date, DayEvaluation]:
    """Judges those of `days` that are stored, oldest first, by what was known at the end of each.

    With `users`, which needs allocated costs, what is found is of users alone: what nothing else explains.
    """
    asked = sorted(days)
    stored = {day.usage_date: day for day in anomalies.stored_days(connection, organization, asked[-1])}
    wanted = [day for day in asked if day in stored]
    if not wanted:
        return {}
    special = {} if users else _other_findings(connection, organization, settings, DayRange(wanted[0], wanted[-1]))
    evaluations = {
        day: DayEvaluation(day, stored[day].amount_usd, stored[day].provisional, findings=special.get(day, []))
        for day in wanted
    }
    said = [one for one in anomalies.feedback(connection, organization) if one.line_item is None]
    spend = _spend(connection, organization, DayRange(first_history_day(wanted[0]), wanted[-1]), users=users)
    oldest = min(stored)
    for begin, together in groupby(wanted, key=lambda day: max(first_history_day(day), oldest)):
        month = list(together)
        known = [one for one in spend if begin <= one.day <= month[-1]]
        is_older = any(day < begin and one.amount_usd for day, one in stored.items())
        if known or is_older:
            panel = _panel(organization, known, DayRange(begin, month[-1]), is_older=is_older)
            seen = PanelEvaluation(connection, organization, settings, stored, known, said, panel, users=users)
            evaluations |= {day: seen.evaluation(evaluations[day]) for day in month if day >= seen.first_day}
    return evaluations


class PanelEvaluation:
    """A panel that was walked, and the words for what was found."""

    def __init__(
        self,
        connection: Connection,
        organization: str,
        settings: Anomalies,
        stored: Mapping[dt.date, anomalies.EvaluatedDay],
        spend: list[Spend],
        said: list[Feedback],
        panel: Panel,
        *,
        users: bool,
    ) -> None:
        self._users = users
        self._connection = connection
        self._organization = organization
        self._settings = settings
        self._panel = panel
        self._amounts = {(entry.series, entry.day): entry.amount for entry in spend}
        self._mutes = [one for one in said if one.kind == "mute"]
        self._names = display_names(connection, organization)
        self._owners = anomalies.key_owners(connection, organization)
        self._parameters = Parameters.for_sensitivity(settings.sensitivity, _number(settings.minimum_impact_usd))
        known = np.array([day in stored for day in panel.days])
        settled = np.array([day in stored and not stored[day].provisional for day in panel.days])
        expected = expected_days(panel, said)
        self._verdicts: Verdicts = Detector(panel, self._parameters, Annotations(settled, known, expected)).run()
        self._whole = panel.series.index(SeriesKey(organization))

    @property
    def first_day(self) -> dt.date:
        """That of the first spend, or of all that is looked at where there was spend before it."""
        return self._panel.first_day

    def evaluation(self, plain: DayEvaluation) -> DayEvaluation:
        """A day with its range and findings."""
        row = self._panel.row(plain.day)
        age = row - int(self._panel.first_row[self._whole])
        found = [*plain.findings, *(self._finding(cause, plain) for cause in self._causes(row))]
        if age < self._parameters.mature_age_days:
            return DayEvaluation(plain.day, plain.actual, plain.provisional, history_days=max(age, 0), findings=found)
        expected, lower, upper = self._range(row, self._whole)
        pictures = self._pictures(row, found)
        return DayEvaluation(plain.day, plain.actual, plain.provisional, expected, lower, upper, age, found, *pictures)

    def _causes(self, row: int) -> list[Cause]:
        verdicts = self._verdicts
        flags = [
            Flag(
                self._panel.series[column],
                (self._panel.spend[row, column] - verdicts.expected[row, column]).item(),
                bool(verdicts.flagged[row, column]),
            )
            for column in true_columns(verdicts.flagged[row] | verdicts.minor[row])
        ]
        causes = find_root_causes(flag for flag in flags if not flag.series.user)
        if not self._users:
            return merge_by_owner(causes, self._owners)
        day = self._panel.days[row]
        of_users = find_root_causes(flag for flag in flags if flag.series.user)
        return [
            cause
            for cause in of_users
            if not is_already_reported(cause.flag, causes, partial(self._parts, cause.flag.series, day, 1))
        ]

    def _finding(self, cause: Cause, plain: DayEvaluation) -> Finding:
        series, row = cause.flag.series, self._panel.row(plain.day)
        figures = self._figures(row, self._panel.series.index(series), plain)
        return Finding(
            usage_date=plain.day,
            series=series,
            actual=figures.actual,
            expected=figures.expected,
            lower=figures.lower,
            upper=figures.upper,
            impact=figures.impact,
            score=figures.score,
            direction="up" if figures.impact >= 0 else "down",
            severity=severity(figures.impact, self._settings.minimum_impact_usd),
            reason=figures.reason,
            explanation=explain(
                series, figures, self._parts(series, plain.day, figures.days), self._names, merged=cause.merged
            ),
            worth_alerting=cause.flag.alerting and abs(figures.impact) >= self._settings.minimum_impact_usd,
            muted=self._is_muted(series, plain.day),
        )

    def _figures(self, row: int, column: int, plain: DayEvaluation) -> Figures:
        """What a series cost in the days of the test that it failed; of a day that failed none, its own range."""
        verdicts, series = self._verdicts, self._panel.series[column]
        bounds = (verdicts.expected, verdicts.lower, verdicts.upper)
        own = FailedTest(1, *(values[row, column].item() for values in bounds))
        test = verdicts.tests.get((row, column), own)
        days = DayRange(plain.day - (test.days - 1) * ONE_DAY, plain.day)
        return Figures(
            day=plain.day,
            actual=money.total(self._amounts.get((series, day), _ZERO) for day in days),
            expected=cents(test.expected),
            lower=cents(test.lower),
            upper=cents(test.upper),
            reason=str(verdicts.reason[row, column]) if verdicts.flagged[row, column] else "minor",
            days=test.days,
            score=Decimal(str(round(verdicts.score[row, column].item(), 2))),
            provisional=plain.provisional,
            total=self._total(row, test.total, plain.day),
        )

    def _total(self, row: int, column: int, day: dt.date) -> ParentTotal | None:
        if column == NO_PARENT:
            return None
        series = self._panel.series[column]
        name = f"the project {self._names.project(series.project)}" if series.project else "the organization"
        expected = cents(self._verdicts.expected[row, column].item())
        return ParentTotal(name, self._amounts.get((series, day), _ZERO), expected)

    def _range(self, row: int, column: int) -> tuple[Decimal, Decimal, Decimal]:
        verdicts = self._verdicts
        expected, lower, upper = (
            cents(values[row, column].item()) for values in (verdicts.expected, verdicts.lower, verdicts.upper)
        )
        return expected, lower, upper

    def _is_muted(self, series: SeriesKey, day: dt.date) -> bool:
        return any(mute.series == series and mute.first_day <= day <= mute.last_day for mute in self._mutes)

    def _parts(self, series: SeriesKey, day: dt.date, count: int) -> list[Segment]:
        """What makes up some days up to one, beside the same weekdays of the four weeks before them."""
        days = [day - number * ONE_DAY for number in range(count)]
        first_week = (count + _WEEK - 1) // _WEEK
        weeks = [
            week
            for week in range(first_week, first_week + _REFERENCE_WEEKS)
            if days[-1] - week * _WEEK * ONE_DAY >= self._panel.first_day
        ]
        reference = [one - week * _WEEK * ONE_DAY for one in days for week in weeks]
        details = anomalies.spend_breakdown(
            self._connection,
            self._organization,
            [*days, *reference],
            project=series.project,
            model=series.model,
            service=series.service,
            api_key=series.api_key,
            user=series.user,
        )
        return segments_of(details, days, len(weeks))

    def _pictures(self, row: int, found: list[Finding]) -> tuple[str | None, bytes | None]:
        alerting = [finding for finding in found if finding.worth_alerting and not finding.muted]
        shown = [finding for finding in alerting if finding.line_item is None]
        if not shown:
            return None, None
        series = shown[0].series
        if series not in self._panel.series:
            return None, None
        column = self._panel.series.index(series)
        first = max(row - _CHART_DAYS + 1, int(self._panel.first_row[column]))
        days, verdicts = self._panel.days, self._verdicts
        points = [
            svg.Point(
                days[one],
                self._panel.spend[one, column].item(),
                verdicts.expected[one, column].item(),
                verdicts.lower[one, column].item(),
                verdicts.upper[one, column].item(),
            )
            for one in range(first, row + 1)
        ]
        flagged = {days[one] for one in range(first, row + 1) if verdicts.flagged[one, column]} | {days[row]}
        bars = [png.Bar(one.actual, one.lower, one.upper, one.day in flagged) for one in points]
        title = f"US dollars a day: {self._names.series(series) if any(series[1:]) else self._organization}"
        return svg.markdown(title, points, flagged), png.png(bars)


def display_names(connection: Connection, organization: str, *, users: bool = False) -> DisplayNames:
    """What an organization's ids are called. DisplayNames that several keys have are no names."""
    found = anomalies.directory_names(connection, organization)
    keys = [one for one in found if one.kind == "api_key"]
    shared = Counter(one.name for one in keys)
    return DisplayNames(
        projects={one.id: one.name for one in found if one.kind == "project"},
        api_keys={one.id: one.name for one in keys if shared[one.name] == 1},
        users={one.id: one.name for one in found if one.kind == "user" and users},
    )


def is_already_reported(user: Flag, causes: Iterable[Cause], parts: Callable[[], list[Segment]]) -> bool:
    """Whether a user's change is one that findings about costs tell of already.

    They do where most of the user's change lies within them, or most of theirs is the user's; then the user is news
    only when the change is a rise twice as large as theirs. The organization as a whole names no cause. `parts` are
    those of the user's spend.
    """
    told = [
        cause.flag
        for cause in causes
        if any(cause.flag.series[1:])
        and cause.flag.alerting >= user.alerting
        and cause.flag.difference * user.difference > 0
    ]
    if not told:
        return False
    changes = [(part, float(part.change)) for part in parts()]
    inside = {flag: sum(change for part, change in changes if _holds(flag.series, part)) for flag in told}
    total = sum(change for _, change in changes)
    covered = sum(change for part, change in changes if any(_holds(flag.series, part) for flag in told))
    if total and covered / total >= _MOST:
        return True
    theirs = [abs(flag.difference) for flag in told if inside[flag] / flag.difference >= _MOST]
    return bool(theirs) and (user.difference < 0 or abs(user.difference) < _NEWS * sum(theirs))


def _holds(series: SeriesKey, part: Segment) -> bool:
    """Whether a part of a user's spend belongs to a series; parts do not know their service."""
    return (
        series.project in {"", part.project}
        and series.model in {"", part.model}
        and series.api_key in {"", NO_VALUE, part.api_key}  # what is billed without a key is allocated to keys too
    )


def _spend(connection: Connection, organization: str, days: DayRange, *, users: bool) -> list[Spend]:
    spend = [
        Spend(SeriesKey(organization, one.project, one.model, one.service, one.api_key), one.usage_date, one.amount)
        for one in anomalies.spend_of_series(connection, organization, days)
    ]
    if users:
        spend += [
            Spend(SeriesKey(organization, user=user), day, amount)
            for day, user, amount in anomalies.spend_of_users(connection, organization, days)
        ]
    return spend


def _panel(organization: str, spend: list[Spend], days: DayRange, *, is_older: bool) -> Panel:
    """Some days' spend. An organization that is older than they are is not new, however long it was silent."""
    whole = SeriesKey(organization)
    ends = [days.first, days.last] if is_older else [days.last]
    return build_panel([*spend, *(Spend(whole, day, _ZERO) for day in ends)], {whole} if is_older else ())


def _other_findings(
    connection: Connection, organization: str, settings: Anomalies, days: DayRange
) -> dict[dt.date, list[Finding]]:
    found = vanished_days(connection, organization, days, settings.minimum_impact_usd)
    for day, findings in price_findings(connection, organization, days, settings.minimum_impact_usd).items():
        found.setdefault(day, []).extend(findings)
    return found


def expected_days(panel: Panel, answers: Iterable[Feedback]) -> Flags | None:
    """The days that people called expected: of a series and of all that shares spend with it; None without any."""
    mask = np.zeros(panel.spend.shape, bool)
    for one in answers:
        first, last = max(panel.row(one.first_day), 0), min(panel.row(one.last_day), len(mask) - 1)
        if one.kind == "expected" and first <= last:
            related = [column for column, other in enumerate(panel.series) if overlap(one.series, other)]
            mask[first : last + 1, related] = True
    return mask if mask.any() else None


def _number(dollars: Decimal) -> float:
    return float(dollars)
