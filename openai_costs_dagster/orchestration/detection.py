"""Judges an organization's stored days: its spend at every level through the detector, and what was found in words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby

import numpy as np

from openai_costs_dagster.alerts import picture
from openai_costs_dagster.configuration import Anomalies
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.orchestration.special_findings import changed_prices, severity, vanished
from openai_costs_dagster.report import chart
from openai_costs_dagster.spend.change import Part
from openai_costs_dagster.spend.detection.causes import Cause, Flag, causes_of, overlap
from openai_costs_dagster.spend.detection.history import begins
from openai_costs_dagster.spend.detection.panel import Flags, Panel, Series, Spend, columns_of, panel_of
from openai_costs_dagster.spend.detection.tuning import Tuning
from openai_costs_dagster.spend.detection.walk import Circumstances, Verdicts, Walk
from openai_costs_dagster.spend.explanation import explain
from openai_costs_dagster.warehouse import anomalies, memory
from openai_costs_dagster.warehouse.anomalies import NOTHING, Feedback, Finding, SpendDetail
from openai_costs_dagster.warehouse.database import Connection

_CENTS = Decimal("0.01")
_REFERENCE_WEEKS = 4
_CHART_DAYS = 60
_ZERO = Decimal(0)
_PartKey = tuple[str, str, str, str, str, str | None]


@dataclass(frozen=True)
class Judgement:
    """What is said of one organization's day; US dollars. `expected` is null while too little is known."""

    day: dt.date
    actual: Decimal
    provisional: bool
    expected: Decimal | None = None
    lower: Decimal | None = None
    upper: Decimal | None = None
    known_days: int = 0
    findings: list[Finding] = field(default_factory=list)
    picture: str | None = None
    """The series of the largest finding, as Markdown."""
    photo: bytes | None = None
    """The same for channels that show no Markdown: a PNG."""

    @property
    def alarming(self) -> list[Finding]:
        """What is worth someone's time."""
        return [finding for finding in self.findings if finding.worth_alerting]


def judge(
    connection: Connection, organization: str, settings: Anomalies, days: Iterable[dt.date], *, users: bool = False
) -> dict[dt.date, Judgement]:
    """Judges those of `days` that are stored, oldest first, by what was known at the end of each.

    With `users`, which needs allocated costs, what is found is of users alone: what nothing else explains.
    """
    asked = sorted(days)
    stored = {day.usage_date: day for day in anomalies.stored_days(connection, organization, asked[-1])}
    wanted = [day for day in asked if day in stored]
    if not wanted:
        return {}
    special = {} if users else _special(connection, organization, settings, DayRange(wanted[0], wanted[-1]))
    judgements = {
        day: Judgement(day, stored[day].amount_usd, stored[day].provisional, findings=special.get(day, []))
        for day in wanted
    }
    said = [one for one in anomalies.feedback(connection, organization) if one.line_item is None]
    spend = _spend(connection, organization, DayRange(begins(wanted[0]), wanted[-1]), users=users)
    oldest = min(stored)
    for begin, together in groupby(wanted, key=lambda day: max(begins(day), oldest)):
        month = list(together)
        known = [one for one in spend if begin <= one.day <= month[-1]]
        is_older = any(day < begin and one.amount_usd for day, one in stored.items())
        if known or is_older:
            panel = _panel(organization, known, DayRange(begin, month[-1]), is_older=is_older)
            seen = _Seen(connection, organization, settings, stored, known, said, panel, users=users)
            judgements |= {day: seen.judgement(judgements[day]) for day in month if day >= seen.first_day}
    return judgements


class _Seen:
    """A panel that was walked, and the words for what was found."""

    def __init__(
        self,
        connection: Connection,
        organization: str,
        settings: Anomalies,
        stored: Mapping[dt.date, anomalies.JudgedDay],
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
        self._muted = [(one, series_of(organization, one)) for one in said if one.kind == "mute"]
        self._names = memory.project_names(connection, organization)
        self._tuning = Tuning.of(settings.sensitivity, _number(settings.minimum_impact_usd))
        known = np.array([day in stored for day in panel.days])
        settled = np.array([day in stored and not stored[day].provisional for day in panel.days])
        expected = _expected(panel, organization, said)
        self._verdicts: Verdicts = Walk(panel, self._tuning, Circumstances(settled, known, expected)).judge()
        self._whole = panel.series.index(Series(organization))

    @property
    def first_day(self) -> dt.date:
        """That of the first spend, or of all that is looked at where there was spend before it."""
        return self._panel.first_day

    def judgement(self, plain: Judgement) -> Judgement:
        """A day with its range and findings."""
        row = self._panel.row(plain.day)
        age = row - int(self._panel.born[self._whole])
        found = [*plain.findings, *(self._finding(cause, plain) for cause in self._causes(row))]
        if age < self._tuning.mature:
            return Judgement(plain.day, plain.actual, plain.provisional, known_days=max(age, 0), findings=found)
        expected, lower, upper = self._range(row, self._whole)
        pictures = self._pictures(row, found)
        return Judgement(plain.day, plain.actual, plain.provisional, expected, lower, upper, age, found, *pictures)

    def _causes(self, row: int) -> list[Cause]:
        verdicts = self._verdicts
        columns = columns_of(verdicts.flagged[row] | verdicts.noticed[row])
        causes = causes_of(
            Flag(
                self._panel.series[column],
                (self._panel.spend[row, column] - verdicts.expected[row, column]).item(),
            )
            for column in columns
        )
        return [cause for cause in causes if bool(cause.flag.series.user) == self._users]

    def _finding(self, cause: Cause, plain: Judgement) -> Finding:
        series, row = cause.flag.series, self._panel.row(plain.day)
        column = self._panel.series.index(series)
        expected, lower, upper = self._range(row, column)
        actual = self._amounts.get((series, plain.day), _ZERO)
        flagged = {self._panel.series[one] for one in columns_of(self._verdicts.flagged[row])}
        worth = series in flagged or any(flag.series in flagged for flag in cause.explains)
        reason = str(self._verdicts.reason[row, column])
        return Finding(
            usage_date=plain.day,
            level=series.level,
            project_id=_null(series.project),
            service=_null(series.service),
            model=_null(series.model),
            api_key_id=_null(series.api_key),
            user_id=_null(series.user),
            actual=actual,
            expected=expected,
            lower=lower,
            upper=upper,
            impact=actual - expected,
            score=Decimal(str(round(self._verdicts.score[row, column].item(), 2))),
            direction="up" if actual >= expected else "down",
            severity=severity(actual - expected, self._settings.minimum_impact_usd),
            reason=reason,
            explanation=explain(
                series,
                actual=actual,
                expected=expected,
                lower=lower,
                upper=upper,
                reason=reason or "noticed",
                parts=self._parts(series, plain.day),
                project_names=self._names,
                provisional=plain.provisional,
            ),
            worth_alerting=worth and not self._is_muted(series, plain.day),
        )

    def _range(self, row: int, column: int) -> tuple[Decimal, Decimal, Decimal]:
        verdicts = self._verdicts
        expected, lower, upper = (
            _cents(values[row, column].item()) for values in (verdicts.expected, verdicts.lower, verdicts.upper)
        )
        return expected, lower, upper

    def _is_muted(self, series: Series, day: dt.date) -> bool:
        return any(muted == series and one.first_day <= day <= one.last_day for one, muted in self._muted)

    def _parts(self, series: Series, day: dt.date) -> list[Part]:
        reference = [
            earlier
            for week in range(1, _REFERENCE_WEEKS + 1)
            if (earlier := day - week * 7 * ONE_DAY) >= self._panel.first_day
        ]
        details = anomalies.spend_in_detail(
            self._connection,
            self._organization,
            [day, *reference],
            project=series.project,
            model=series.model,
            service=series.service,
            api_key=series.api_key,
            user=series.user,
        )
        return parts_of(details, day, len(reference))

    def _pictures(self, row: int, found: list[Finding]) -> tuple[str | None, bytes | None]:
        shown = [finding for finding in found if finding.worth_alerting and finding.line_item is None]
        if not shown:
            return None, None
        series = series_of(self._organization, shown[0])
        if series not in self._panel.series:
            return None, None
        column = self._panel.series.index(series)
        first = max(row - _CHART_DAYS + 1, int(self._panel.born[column]))
        days, verdicts = self._panel.days, self._verdicts
        points = [
            chart.Point(
                days[one],
                self._panel.spend[one, column].item(),
                verdicts.expected[one, column].item(),
                verdicts.lower[one, column].item(),
                verdicts.upper[one, column].item(),
            )
            for one in range(first, row + 1)
        ]
        flagged = {days[one] for one in range(first, row + 1) if verdicts.flagged[one, column]} | {days[row]}
        named = [self._names.get(name, name) for name in series[1:] if name]
        bars = [picture.Bar(one.actual, one.lower, one.upper, one.day in flagged) for one in points]
        title = f"US dollars a day: {', '.join(named) or self._organization}"
        return chart.markdown(title, points, flagged), picture.png(bars)


def parts_of(details: Iterable[SpendDetail], day: dt.date, references: int) -> list[Part]:
    """What makes up a day beside what usually does: the mean of the other days, of which there are `references`."""
    now: dict[_PartKey, SpendDetail] = {}
    before: dict[_PartKey, list[SpendDetail]] = {}
    for one in details:
        key: _PartKey = (one.project, one.model, one.api_key, one.line_item, one.kind, one.quantity_unit)
        if one.usage_date == day:
            now[key] = one
        else:
            before.setdefault(key, []).append(one)
    parts = []
    for key in sorted({*now, *before}, key=str):
        today, earlier = now.get(key), before.get(key, [])
        project, model, api_key, line_item, kind, unit = key
        quantities = [one.quantity for one in earlier if one.quantity is not None]
        parts.append(
            Part(
                project=project,
                model=model,
                api_key=api_key,
                line_item=line_item,
                kind=kind,
                unit=unit,
                amount=today.amount if today else _ZERO,
                usual_amount=sum((one.amount for one in earlier), _ZERO) / max(references, 1),
                quantity=today.quantity if today else _ZERO,
                usual_quantity=sum(quantities, _ZERO) / max(references, 1) if quantities else None,
            )
        )
    return parts


def _spend(connection: Connection, organization: str, days: DayRange, *, users: bool) -> list[Spend]:
    spend = [
        Spend(Series(organization, one.project, one.model, one.service, one.api_key), one.usage_date, one.amount)
        for one in anomalies.spend_of_series(connection, organization, days)
    ]
    if users:
        spend += [
            Spend(Series(organization, user=user), day, amount)
            for day, user, amount in anomalies.spend_of_users(connection, organization, days)
        ]
    return spend


def _panel(organization: str, spend: list[Spend], days: DayRange, *, is_older: bool) -> Panel:
    """Some days' spend. An organization that is older than they are is not new, however long it was silent."""
    whole = Series(organization)
    ends = [days.first, days.last] if is_older else [days.last]
    return panel_of([*spend, *(Spend(whole, day, _ZERO) for day in ends)], {whole} if is_older else ())


def _special(
    connection: Connection, organization: str, settings: Anomalies, days: DayRange
) -> dict[dt.date, list[Finding]]:
    found = vanished(connection, organization, days)
    for day, findings in changed_prices(connection, organization, days, settings.minimum_impact_usd).items():
        found.setdefault(day, []).extend(findings)
    return found


def _expected(panel: Panel, organization: str, said: list[Feedback]) -> Flags | None:
    """What was said to be expected: of a series and all that shares spend with it."""
    mask = np.zeros(panel.spend.shape, bool)
    for one in said:
        series = series_of(organization, one)
        related = [column for column, other in enumerate(panel.series) if overlap(series, other)]
        for day in DayRange(one.first_day, one.last_day):
            if one.kind == "expected" and 0 <= panel.row(day) < len(mask):
                mask[panel.row(day), related] = True
    return mask if mask.any() else None


def series_of(organization: str, one: Feedback | Finding) -> Series:
    """The series that a finding, or what was said of one, is about."""
    level = one.level
    return Series(
        organization,
        project=_named(one.project_id, "project" in level or level == "api_key"),
        model=_named(one.model, "model" in level),
        service=_named(one.service, level == "service"),
        api_key=_named(one.api_key_id, level == "api_key"),
        user=_named(one.user_id, level == "user"),
    )


def _named(name: str | None, is_dimension: bool) -> str:
    return (name or NOTHING) if is_dimension else ""


def _null(name: str) -> str | None:
    return None if name in {"", NOTHING} else name


def _cents(value: float) -> Decimal:
    return Decimal(str(value)).quantize(_CENTS)


def _number(dollars: Decimal) -> float:
    return float(dollars)
