"""Judges an organization's stored days: its spend at every level through the detector, and what was found in words."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import groupby

import numpy as np

from openai_costs_dagster.charts import png, svg
from openai_costs_dagster.configuration import Anomalies
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.monitoring.other_findings import changed_prices, severity, vanished
from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.detection.detector import Circumstances, Verdicts, Walk
from openai_costs_dagster.spend.detection.history import begins
from openai_costs_dagster.spend.detection.panel import NO_PARENT, Flags, Panel, Series, Spend, columns_of, panel_of
from openai_costs_dagster.spend.detection.parameters import Tuning
from openai_costs_dagster.spend.detection.root_causes import Cause, Flag, causes_of, one_by_owner, overlap
from openai_costs_dagster.spend.detection.state.day import FailedTest
from openai_costs_dagster.spend.explanation import Figures, Names, TotalJump, explain
from openai_costs_dagster.spend.price_volume_mix import Part
from openai_costs_dagster.warehouse import anomalies
from openai_costs_dagster.warehouse.anomalies import NOTHING, Feedback, Finding, SpendDetail
from openai_costs_dagster.warehouse.database import Connection

_CENTS = Decimal("0.01")
_REFERENCE_WEEKS = 4
_WEEK = 7
_CHART_DAYS = 60
_MOST = 0.6
_NEWS = 2  # times what was reported, as for incidents
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
        """What is worth someone's time and not muted."""
        return [finding for finding in self.findings if finding.worth_alerting and not finding.muted]


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
        self._names = names_of(connection, organization)
        self._owners = anomalies.key_owners(connection, organization)
        self._tuning = Tuning.of(settings.sensitivity, _number(settings.minimum_impact_usd))
        known = np.array([day in stored for day in panel.days])
        settled = np.array([day in stored and not stored[day].provisional for day in panel.days])
        expected = expected_days(panel, organization, said)
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
        flags = [
            Flag(
                self._panel.series[column],
                (self._panel.spend[row, column] - verdicts.expected[row, column]).item(),
                bool(verdicts.flagged[row, column]),
            )
            for column in columns_of(verdicts.flagged[row] | verdicts.noticed[row])
        ]
        causes = causes_of(flag for flag in flags if not flag.series.user)
        if not self._users:
            return one_by_owner(causes, self._owners)
        day = self._panel.days[row]
        of_users = causes_of(flag for flag in flags if flag.series.user)
        return [
            cause
            for cause in of_users
            if not is_reported(cause.flag, causes, partial(self._parts, cause.flag.series, day, 1))
        ]

    def _finding(self, cause: Cause, plain: Judgement) -> Finding:
        series, row = cause.flag.series, self._panel.row(plain.day)
        figures = self._figures(row, self._panel.series.index(series), plain)
        return Finding(
            usage_date=plain.day,
            level=series.level,
            project_id=_null(series.project),
            service=_null(series.service),
            model=_null(series.model),
            api_key_id=_null(series.api_key),
            user_id=_null(series.user),
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

    def _figures(self, row: int, column: int, plain: Judgement) -> Figures:
        """What a series cost in the days of the test that it failed; of a day that failed none, its own range."""
        verdicts, series = self._verdicts, self._panel.series[column]
        bounds = (verdicts.expected, verdicts.lower, verdicts.upper)
        own = FailedTest(1, *(values[row, column].item() for values in bounds))
        test = verdicts.tests.get((row, column), own)
        days = DayRange(plain.day - (test.days - 1) * ONE_DAY, plain.day)
        return Figures(
            day=plain.day,
            actual=money.total(self._amounts.get((series, day), _ZERO) for day in days),
            expected=_cents(test.expected),
            lower=_cents(test.lower),
            upper=_cents(test.upper),
            reason=str(verdicts.reason[row, column]) if verdicts.flagged[row, column] else "noticed",
            days=test.days,
            score=Decimal(str(round(verdicts.score[row, column].item(), 2))),
            provisional=plain.provisional,
            total=self._total(row, test.total, plain.day),
        )

    def _total(self, row: int, column: int, day: dt.date) -> TotalJump | None:
        if column == NO_PARENT:
            return None
        series = self._panel.series[column]
        name = f"the project {self._names.project(series.project)}" if series.project else "the organization"
        expected = _cents(self._verdicts.expected[row, column].item())
        return TotalJump(name, self._amounts.get((series, day), _ZERO), expected)

    def _range(self, row: int, column: int) -> tuple[Decimal, Decimal, Decimal]:
        verdicts = self._verdicts
        expected, lower, upper = (
            _cents(values[row, column].item()) for values in (verdicts.expected, verdicts.lower, verdicts.upper)
        )
        return expected, lower, upper

    def _is_muted(self, series: Series, day: dt.date) -> bool:
        return any(muted == series and one.first_day <= day <= one.last_day for one, muted in self._muted)

    def _parts(self, series: Series, day: dt.date, count: int) -> list[Part]:
        """What makes up some days up to one, beside the same weekdays of the four weeks before them."""
        days = [day - number * ONE_DAY for number in range(count)]
        first_week = (count + _WEEK - 1) // _WEEK
        weeks = [
            week
            for week in range(first_week, first_week + _REFERENCE_WEEKS)
            if days[-1] - week * _WEEK * ONE_DAY >= self._panel.first_day
        ]
        reference = [one - week * _WEEK * ONE_DAY for one in days for week in weeks]
        details = anomalies.spend_in_detail(
            self._connection,
            self._organization,
            [*days, *reference],
            project=series.project,
            model=series.model,
            service=series.service,
            api_key=series.api_key,
            user=series.user,
        )
        return parts_of(details, days, len(weeks))

    def _pictures(self, row: int, found: list[Finding]) -> tuple[str | None, bytes | None]:
        alarming = [finding for finding in found if finding.worth_alerting and not finding.muted]
        shown = [finding for finding in alarming if finding.line_item is None]
        if not shown:
            return None, None
        series = series_of(self._organization, shown[0])
        if series not in self._panel.series:
            return None, None
        column = self._panel.series.index(series)
        first = max(row - _CHART_DAYS + 1, int(self._panel.born[column]))
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
        title = f"US dollars a day: {self._names.of(series) if any(series[1:]) else self._organization}"
        return svg.markdown(title, points, flagged), png.png(bars)


def parts_of(details: Iterable[SpendDetail], days: Collection[dt.date], references: int) -> list[Part]:
    """What makes up some days beside what usually does: the mean of the other days, `references` times as many."""
    now: dict[_PartKey, list[SpendDetail]] = {}
    before: dict[_PartKey, list[SpendDetail]] = {}
    for one in details:
        key: _PartKey = (one.project, one.model, one.api_key, one.line_item, one.kind, one.quantity_unit)
        (now if one.usage_date in days else before).setdefault(key, []).append(one)
    parts = []
    for key in sorted({*now, *before}, key=str):
        present, earlier = now.get(key, []), before.get(key, [])
        project, model, api_key, line_item, kind, unit = key
        usual_quantity = _quantity(earlier)
        parts.append(
            Part(
                project=project,
                model=model,
                api_key=api_key,
                line_item=line_item,
                kind=kind,
                unit=unit,
                amount=money.total(one.amount for one in present),
                usual_amount=sum((one.amount for one in earlier), _ZERO) / max(references, 1),
                quantity=_quantity(present) if present else _ZERO,
                usual_quantity=None if usual_quantity is None else usual_quantity / max(references, 1),
            )
        )
    return parts


def _quantity(details: Iterable[SpendDetail]) -> Decimal | None:
    known = [one.quantity for one in details if one.quantity is not None]
    return money.total(known) if known else None


def names_of(connection: Connection, organization: str, *, users: bool = False) -> Names:
    """What an organization's ids are called. Names that several keys have are no names."""
    found = anomalies.directory_names(connection, organization)
    keys = [one for one in found if one.kind == "api_key"]
    shared = Counter(one.name for one in keys)
    return Names(
        projects={one.id: one.name for one in found if one.kind == "project"},
        api_keys={one.id: one.name for one in keys if shared[one.name] == 1},
        users={one.id: one.name for one in found if one.kind == "user" and users},
    )


def is_reported(user: Flag, causes: Iterable[Cause], parts: Callable[[], list[Part]]) -> bool:
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


def _holds(series: Series, part: Part) -> bool:
    """Whether a part of a user's spend belongs to a series; parts do not know their service."""
    return (
        series.project in {"", part.project}
        and series.model in {"", part.model}
        and series.api_key in {"", NOTHING, part.api_key}  # what is billed without a key is allocated to keys too
    )


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
    found = vanished(connection, organization, days, settings.minimum_impact_usd)
    for day, findings in changed_prices(connection, organization, days, settings.minimum_impact_usd).items():
        found.setdefault(day, []).extend(findings)
    return found


def expected_days(panel: Panel, organization: str, answers: Iterable[Feedback]) -> Flags | None:
    """The days that people called expected: of a series and of all that shares spend with it; None without any."""
    mask = np.zeros(panel.spend.shape, bool)
    for one in answers:
        first, last = max(panel.row(one.first_day), 0), min(panel.row(one.last_day), len(mask) - 1)
        if one.kind == "expected" and first <= last:
            series = series_of(organization, one)
            related = [column for column, other in enumerate(panel.series) if overlap(series, other)]
            mask[first : last + 1, related] = True
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
