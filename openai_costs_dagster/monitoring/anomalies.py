"""Finds anomalies on the stored days of an organization: loads the spend, runs the detector and explains the findings.

`evaluate_days` loads the spend once, runs the detector without I/O, and then loads the details of the unusual spend.
`monitoring/evaluation.py` calls `evaluate_days` and stores the findings.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

import numpy as np

from openai_costs_dagster.configuration import Anomalies
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.monitoring.finding_charts import FindingCharts, draw_finding_charts
from openai_costs_dagster.monitoring.findings import DayEvaluation, cents, is_alerting, segments_of
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
from openai_costs_dagster.spend.incidents import GROWTH_FACTOR
from openai_costs_dagster.spend.price_volume_mix import Segment
from openai_costs_dagster.warehouse import anomalies
from openai_costs_dagster.warehouse.anomalies import EvaluatedDay, Feedback, Finding
from openai_costs_dagster.warehouse.database import Connection

# The detector uses at most half a year of history. Loading all stored days would only make a run slower
# (docs/decisions/0021-code-locations.md).
_HISTORY_DAYS = 240
# The number of weeks before a finding whose average is the usual spend. Four weeks smooth out a single unusual week.
_REFERENCE_WEEKS = 4
_WEEK = 7
# The share of the change in a user's spend that findings about costs must cover to make a finding about the user
# unnecessary.
_MAIN_SHARE = 0.6
_ZERO = Decimal(0)


@dataclass(frozen=True)
class EvaluationInputs:
    """The stored data from which the anomalies of some days are found."""

    organization: str
    settings: Anomalies
    days: Sequence[dt.date]
    """The UTC days to evaluate, oldest first. Costs are stored for each of these days."""
    stored: Mapping[dt.date, EvaluatedDay]
    """The stored days of the organization, up to the last day to evaluate."""
    spend: Sequence[Spend]
    """The spend of all series, in the history and on the days to evaluate."""
    feedback: Sequence[Feedback]
    """The series that people muted, and the days that people marked as expected."""
    names: DisplayNames
    key_owners: Mapping[str, str]
    other_findings: Mapping[dt.date, list[Finding]]
    """The findings that do not come from the detector, by day: vanished costs and changed unit prices."""
    users: bool
    """Whether to find anomalies of users.

    If False, find the anomalies of costs: total, projects, models, services and API keys.
    """


class SegmentRequest(NamedTuple):
    """The parameters of a query for the spend of a series by project, model, API key and line item.

    The result compares the spend on `days` with the usual spend on `reference_days`.
    """

    series: SeriesKey
    days: tuple[dt.date, ...]
    reference_days: tuple[dt.date, ...]
    """The same weekdays as `days`, in the weeks before them."""
    weeks: int
    """The number of weeks from which `reference_days` come."""


Segments = Mapping[SegmentRequest, list[Segment]]


class Detection(NamedTuple):
    """A root cause that the detector found on a day, before the details of its spend are loaded."""

    cause: Cause
    figures: Figures
    segments: SegmentRequest
    cost_causes: Sequence[Cause] = ()
    """The findings about costs of the same day, which may report the same change as this finding about a user.

    The field is empty for a finding about costs.
    """
    day_segments: SegmentRequest | None = None
    """The query for the user's spend on the day, with which `is_already_reported` compares the `cost_causes`.

    None if no finding about costs can report the user's change.
    """

    @property
    def requests(self) -> list[SegmentRequest]:
        """All queries that are needed to explain this finding."""
        return [self.segments, *([self.day_segments] if self.day_segments else [])]


def first_history_day(day: dt.date) -> dt.date:
    """Return the first UTC day of the history with which a day is compared: the first day of a month, about 240 days
    earlier.

    Because this day depends only on `day`, an evaluation of a single day and an evaluation of a range give the same
    findings, and the detector needs only one pass for all days of a month. The detector uses at most half a year
    (`noise_window_days`). On the panels of ``benchmarks/detection``, a longer history changes 3 % of the flagged days,
    of which half are additional and half are lost. A project, model, API key or user without spend in this history
    counts as new when it spends again. An organization never counts as new.
    """
    return (day - _HISTORY_DAYS * ONE_DAY).replace(day=1)


def evaluate_days(
    connection: Connection, organization: str, settings: Anomalies, days: Iterable[dt.date], *, users: bool = False
) -> dict[dt.date, DayEvaluation]:
    """Return the evaluation of each stored day among `days`, oldest first, using only data up to that day.

    With `users=True`, which needs allocated costs, the result contains only findings about users, and only those that
    no finding about costs already reports.
    """
    inputs = load_inputs(connection, organization, settings, days, users=users)
    panels = detect(inputs)
    requests = {
        request
        for panel in panels
        for detections in panel.detections.values()
        for detection in detections
        for request in detection.requests
    }
    segments = load_segments(connection, organization, requests)
    evaluations = {
        day: DayEvaluation(
            day,
            inputs.stored[day].amount_usd,
            inputs.stored[day].provisional,
            findings=list(inputs.other_findings.get(day, [])),
        )
        for day in inputs.days
    }
    for panel in panels:
        evaluations |= {day: panel.evaluation(evaluations[day], segments) for day in panel.detections}
    return evaluations


def load_inputs(
    connection: Connection, organization: str, settings: Anomalies, days: Iterable[dt.date], *, users: bool
) -> EvaluationInputs:
    """Load the data that `detect` needs to evaluate the stored days among `days`."""
    requested = sorted(days)
    stored = {day.usage_date: day for day in anomalies.stored_days(connection, organization, requested[-1])}
    evaluated = [day for day in requested if day in stored]
    if not evaluated:
        return EvaluationInputs(organization, settings, [], stored, [], [], DisplayNames(), {}, {}, users)
    history = DayRange(first_history_day(evaluated[0]), evaluated[-1])
    # Vanished costs and changed prices concern no user, and the separate evaluation of costs already reports them.
    other = {} if users else _other_findings(connection, settings, organization, DayRange(evaluated[0], evaluated[-1]))
    return EvaluationInputs(
        organization=organization,
        settings=settings,
        days=evaluated,
        stored=stored,
        spend=_load_spend(connection, organization, history, users=users),
        # Feedback about a line item concerns changed unit prices, which the detector does not find.
        feedback=[answer for answer in anomalies.feedback(connection, organization) if answer.line_item is None],
        names=display_names(connection, organization),
        key_owners=anomalies.key_owners(connection, organization),
        other_findings=other,
        users=users,
    )


def detect(inputs: EvaluationInputs) -> list[PanelEvaluation]:
    """Run the detector over the spend, without I/O. Days that share a history are evaluated in one pass."""
    if not inputs.days:
        return []
    oldest = min(inputs.stored)
    panels = []
    # `groupby` only joins neighbors. The days are sorted, so all days with the same history form one group.
    for first, group in groupby(inputs.days, key=lambda day: max(first_history_day(day), oldest)):
        days = list(group)
        spend = [entry for entry in inputs.spend if first <= entry.day <= days[-1]]
        # An organization that spent before the loaded history is not new, even if it spent nothing within the history.
        is_older = any(day < first and stored.amount_usd for day, stored in inputs.stored.items())
        if spend or is_older:
            panel = _build_panel(inputs.organization, spend, DayRange(first, days[-1]), is_older=is_older)
            panels.append(PanelEvaluation(inputs, panel, spend, days))
    return panels


def load_segments(connection: Connection, organization: str, requests: Iterable[SegmentRequest]) -> Segments:
    """Execute each query for spend, and return its result as segments."""
    segments = {}
    for request in requests:
        series = request.series
        details = anomalies.spend_breakdown(
            connection,
            organization,
            [*request.days, *request.reference_days],
            project=series.project,
            model=series.model,
            service=series.service,
            api_key=series.api_key,
            user=series.user,
        )
        segments[request] = segments_of(details, request.days, request.weeks)
    return segments


class PanelEvaluation:
    """The detector's result on one array of daily spend, and its conversion into findings."""

    def __init__(self, inputs: EvaluationInputs, panel: Panel, spend: Iterable[Spend], days: Iterable[dt.date]) -> None:
        self._inputs = inputs
        self._panel = panel
        self._amounts = {(entry.series, entry.day): entry.amount for entry in spend}
        self._mutes = [answer for answer in inputs.feedback if answer.kind == "mute"]
        settings = inputs.settings
        self._parameters = Parameters.for_sensitivity(settings.sensitivity, float(settings.minimum_impact_usd))
        known = np.array([day in inputs.stored for day in panel.days])
        # Costs of a provisional day are still increasing, so the detector must not report a drop on such a day.
        settled = np.array([day in inputs.stored and not inputs.stored[day].provisional for day in panel.days])
        annotations = Annotations(settled, known, expected_days(panel, inputs.feedback))
        self._verdicts: Verdicts = Detector(panel, self._parameters, annotations).run()
        self._total_column = panel.series.index(SeriesKey(inputs.organization))
        # A panel begins with the first spend of the organization, so earlier days have no row in it.
        self.detections = {day: self._detect(day) for day in days if day >= panel.first_day}
        """The root causes that the detector found, by evaluated day."""

    def evaluation(self, base: DayEvaluation, segments: Segments) -> DayEvaluation:
        """Return `base`, the evaluation of a day, completed by the organization's usual range, the findings and a
        chart.
        """
        row = self._panel.row(base.day)
        age = row - int(self._panel.first_row[self._total_column])
        detections = [one for one in self.detections[base.day] if not _is_covered_by_costs(one, segments)]
        findings = [*base.findings, *(self._finding(detection, segments) for detection in detections)]
        if age < self._parameters.mature_age_days:
            return DayEvaluation(base.day, base.actual, base.provisional, history_days=max(age, 0), findings=findings)
        expected, lower, upper = self._range(row, self._total_column)
        charts = self._charts(row, findings)
        return DayEvaluation(base.day, base.actual, base.provisional, expected, lower, upper, age, findings, *charts)

    def _detect(self, day: dt.date) -> list[Detection]:
        row, verdicts = self._panel.row(day), self._verdicts
        # Deviations too small for an alert become findings too: people can list them, but they are never sent.
        flags = [
            Flag(
                self._panel.series[column],
                (self._panel.spend[row, column] - verdicts.expected[row, column]).item(),
                bool(verdicts.flagged[row, column]),
            )
            for column in true_columns(verdicts.flagged[row] | verdicts.minor[row])
        ]
        cost_causes = find_root_causes(flag for flag in flags if not flag.series.user)
        if not self._inputs.users:
            merged = merge_by_owner(cost_causes, self._inputs.key_owners)
            return [self._detection(cause, day) for cause in merged]
        user_causes = find_root_causes(flag for flag in flags if flag.series.user)
        return [self._detection(cause, day, cost_causes) for cause in user_causes]

    def _detection(self, cause: Cause, day: dt.date, cost_causes: Sequence[Cause] = ()) -> Detection:
        series = cause.flag.series
        figures = self._figures(self._panel.row(day), self._panel.series.index(series), day)
        may_be_covered = bool(covering_flags(cause.flag, cost_causes))
        return Detection(
            cause,
            figures,
            self._segment_request(series, day, figures.days),
            cost_causes,
            # Each query takes time, so it is only made if a finding about costs may cover the finding about the user.
            self._segment_request(series, day, 1) if may_be_covered else None,
        )

    def _finding(self, detection: Detection, segments: Segments) -> Finding:
        cause, figures = detection.cause, detection.figures
        series, minimum = cause.flag.series, self._inputs.settings.minimum_impact_usd
        explanation = explain(series, figures, segments[detection.segments], self._inputs.names, merged=cause.merged)
        return Finding(
            usage_date=figures.day,
            series=series,
            actual=figures.actual,
            expected=figures.expected,
            lower=figures.lower,
            upper=figures.upper,
            impact=figures.impact,
            score=figures.score,
            direction="up" if figures.impact >= 0 else "down",
            severity=severity(figures.impact, minimum),
            reason=figures.reason,
            explanation=explanation,
            # For unusual spend over several days, the impact is compared with the minimum only here. The detector would
            # return other flags if it compared the impact itself (docs/decisions/0031-feedback-and-ranges.md).
            worth_alerting=cause.flag.alerting and abs(figures.impact) >= minimum,
            muted=self._is_muted(series, figures.day),
        )

    def _figures(self, row: int, column: int, day: dt.date) -> Figures:
        """Return the amounts of the statistical test that a day failed, which may cover several days.

        If the deviation is too small for an alert, return the amounts of the single day.
        """
        verdicts, series = self._verdicts, self._panel.series[column]
        bounds = (verdicts.expected, verdicts.lower, verdicts.upper)
        daily = FailedTest(1, *(values[row, column].item() for values in bounds))
        test = verdicts.tests.get((row, column), daily)
        days = DayRange(day - (test.days - 1) * ONE_DAY, day)
        return Figures(
            day=day,
            # The panel contains floats, so the stored decimals are added up to get an exact amount.
            actual=money.total(self._amounts.get((series, one_day), _ZERO) for one_day in days),
            expected=cents(test.expected),
            lower=cents(test.lower),
            upper=cents(test.upper),
            reason=str(verdicts.reason[row, column]) if verdicts.flagged[row, column] else "minor",
            days=test.days,
            score=Decimal(str(round(verdicts.score[row, column].item(), 2))),
            provisional=self._inputs.stored[day].provisional,
            total=self._parent_total(row, test.total, day),
        )

    def _parent_total(self, row: int, column: int, day: dt.date) -> ParentTotal | None:
        if column == NO_PARENT:
            return None
        series = self._panel.series[column]
        name = f"the project {self._inputs.names.project(series.project)}" if series.project else "the organization"
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

    def _segment_request(self, series: SeriesKey, day: dt.date, count: int) -> SegmentRequest:
        """Return the query that compares the `count` days up to `day` with the same weekdays of the four weeks before.

        A week that overlaps with the `count` days or begins before the panel is not used.
        """
        days = tuple(day - number * ONE_DAY for number in range(count))
        first_week = (count + _WEEK - 1) // _WEEK
        weeks = [
            week
            for week in range(first_week, first_week + _REFERENCE_WEEKS)
            if days[-1] - week * _WEEK * ONE_DAY >= self._panel.first_day
        ]
        reference_days = tuple(one_day - week * _WEEK * ONE_DAY for one_day in days for week in weeks)
        return SegmentRequest(series, days, reference_days, len(weeks))

    def _charts(self, row: int, findings: Iterable[Finding]) -> FindingCharts:
        """Return the chart of the first finding that alerts.

        A finding about a unit price has no daily spend to draw.
        """
        drawn = [finding for finding in findings if is_alerting(finding) and finding.line_item is None]
        if not drawn:
            return FindingCharts()
        series = drawn[0].series
        title = self._inputs.names.series(series) if series.dimensions else self._inputs.organization
        return draw_finding_charts(self._panel, self._verdicts, series, row, title)


def display_names(connection: Connection, organization: str, *, users: bool = False) -> DisplayNames:
    """Return the display names of an organization's projects and API keys, and with `users=True` also those of users.

    If several API keys share a name, the name is left out, because it would not identify a key.
    """
    found = anomalies.directory_names(connection, organization)
    keys = [name for name in found if name.kind == "api_key"]
    counts = Counter(key.name for key in keys)
    return DisplayNames(
        projects={name.id: name.name for name in found if name.kind == "project"},
        api_keys={key.id: key.name for key in keys if counts[key.name] == 1},
        # Names of users are left out of texts that are stored, so that `forget-user` can delete the names.
        users={name.id: name.name for name in found if name.kind == "user" and users},
    )


def covering_flags(user: Flag, cost_causes: Iterable[Cause]) -> list[Flag]:
    """Return the flags of costs that may report the same change as a flag of a user.

    A flag of costs is returned if it has the same direction as the user's flag, and alerts if the user's flag alerts.
    The flag of the organization's total is left out, because the total does not identify a cause.
    """
    return [
        cause.flag
        for cause in cost_causes
        if cause.flag.series.dimensions
        and cause.flag.alerting >= user.alerting
        and cause.flag.difference * user.difference > 0
    ]


def is_already_reported(user: Flag, cost_causes: Iterable[Cause], segments: Iterable[Segment]) -> bool:
    """Return whether the findings about costs make a separate finding about a user unnecessary.

    This is so if most of the user's change belongs to the series of these findings, or if the user caused most of their
    change. In the second case the result is False if the user's rise is at least twice the findings' rise. `segments`
    is the spend of the user on the day, by project, model, API key and line item.
    """
    flags = covering_flags(user, cost_causes)
    if not flags:
        return False
    changes = [(segment, float(segment.change)) for segment in segments]
    inside = {flag: sum(change for segment, change in changes if _contains(flag.series, segment)) for flag in flags}
    total = sum(change for _, change in changes)
    covered = sum(change for segment, change in changes if any(_contains(flag.series, segment) for flag in flags))
    if total and covered / total >= _MAIN_SHARE:
        return True
    by_user = [abs(flag.difference) for flag in flags if inside[flag] / flag.difference >= _MAIN_SHARE]
    return bool(by_user) and (user.difference < 0 or abs(user.difference) < GROWTH_FACTOR * sum(by_user))


def _is_covered_by_costs(detection: Detection, segments: Segments) -> bool:
    if detection.day_segments is None:
        return False
    return is_already_reported(detection.cause.flag, detection.cost_causes, segments[detection.day_segments])


def _contains(series: SeriesKey, segment: Segment) -> bool:
    """Return whether a part of a user's spend belongs to a series of costs.

    The service of the series is ignored, because the spend of users is not stored by service.
    """
    return (
        series.project in {"", segment.project}
        and series.model in {"", segment.model}
        # Costs that OpenAI bills without an API key are allocated to keys, so that any key may belong to the series.
        and series.api_key in {"", NO_VALUE, segment.api_key}
    )


def _load_spend(connection: Connection, organization: str, days: DayRange, *, users: bool) -> list[Spend]:
    spend = [
        Spend(SeriesKey(organization, row.project, row.model, row.service, row.api_key), row.usage_date, row.amount)
        for row in anomalies.spend_of_series(connection, organization, days)
    ]
    if users:
        spend += [
            Spend(SeriesKey(organization, user=user), day, amount)
            for day, user, amount in anomalies.spend_of_users(connection, organization, days)
        ]
    return spend


def _build_panel(organization: str, spend: Iterable[Spend], days: DayRange, *, is_older: bool) -> Panel:
    """Return the panel of the range `days`.

    If `is_older`, the organization also spent before the range and is not new.
    """
    total = SeriesKey(organization)
    # Amounts of zero extend the panel to the last day, and for an older organization also to the first day.
    ends = [days.first, days.last] if is_older else [days.last]
    return build_panel([*spend, *(Spend(total, day, _ZERO) for day in ends)], {total} if is_older else ())


def _other_findings(
    connection: Connection, settings: Anomalies, organization: str, days: DayRange
) -> dict[dt.date, list[Finding]]:
    found = vanished_days(connection, organization, days, settings.minimum_impact_usd)
    for day, findings in price_findings(connection, organization, days, settings.minimum_impact_usd).items():
        found.setdefault(day, []).extend(findings)
    return found


def expected_days(panel: Panel, feedback: Iterable[Feedback]) -> Flags | None:
    """Return the days that people marked as expected, as an array of booleans by day and series.

    A mark on a series also applies to each series that contains part of its spend. The result is None if no day is
    marked.
    """
    mask = np.zeros(panel.spend.shape, bool)
    for answer in feedback:
        first, last = max(panel.row(answer.first_day), 0), min(panel.row(answer.last_day), len(mask) - 1)
        # A mute only suppresses alerts. The detector evaluates a muted series like any other series.
        if answer.kind == "expected" and first <= last:
            related = [column for column, other in enumerate(panel.series) if overlap(answer.series, other)]
            mask[first : last + 1, related] = True
    return mask if mask.any() else None
