"""Findings of the detector, feedback on them, and the spend that the detector evaluates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row

from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.records import PRICE_LEVEL, Direction, FeedbackKind, PricedDay, SeriesKey, Severity, Trigger
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.series_rows import series_row
from openai_costs_dagster.warehouse.statements import statement

# Python has no date that corresponds to `infinity` in PostgreSQL.
FOREVER = dt.date.max
"""The last day of a mute without an end date."""


class SeriesSpend(NamedTuple):
    """The spend of a series on one UTC day, in US dollars. An empty dimension covers all of its values."""

    usage_date: dt.date
    project: str
    model: str
    service: str
    api_key: str
    amount: Decimal


class SpendDetail(NamedTuple):
    """One line item within the spend of a series on one UTC day, in US dollars. An unknown quantity is None."""

    usage_date: dt.date
    project: str
    model: str
    api_key: str
    line_item: str
    kind: str
    quantity_unit: str | None
    amount: Decimal
    quantity: Decimal | None


class EvaluatedDay(NamedTuple):
    """A stored UTC day of an organization with its total in US dollars."""

    usage_date: dt.date
    provisional: bool
    amount_usd: Decimal


@dataclass(frozen=True)
class Finding:
    """A UTC day on which a series of spend, or a line item's unit price, was unusual. Amounts are US dollars."""

    usage_date: dt.date
    series: SeriesKey
    actual: Decimal
    expected: Decimal
    lower: Decimal
    upper: Decimal
    impact: Decimal
    score: Decimal
    direction: Direction
    severity: Severity
    reason: str
    explanation: str
    worth_alerting: bool
    line_item: str | None = None
    """The line item whose unit price changed; None for findings about spend."""
    muted: bool = False
    """Whether a mute covers the series on the day of the finding."""

    @property
    def organization(self) -> str:
        """The configured name of the organization."""
        return self.series.organization

    @property
    def level(self) -> str:
        """The label of the level, as in ``project and model``."""
        return self.series.level if self.line_item is None else PRICE_LEVEL

    def columns(self) -> dict[str, Any]:
        """Return the finding as a mapping of column names to values. The series occupies several columns."""
        fields = {name: value for name, value in asdict(self).items() if name != "series"}
        return {"organization": self.series.organization, **self.series.columns(), **fields, "level": self.level}

    @property
    def has_daily_range(self) -> bool:
        """Whether the amounts and the range of the finding belong to one day, not to a sum over several days."""
        # The reason shows which test failed: "5 days" is a run of days, and intermittent series are tested by sums of
        # several days.
        return self.reason != "intermittent" and not self.reason.endswith(" days")


@dataclass(frozen=True, kw_only=True)
class StoredFinding(Finding):
    """A finding with its id, its feedback, and the times of its detection and its alert."""

    anomaly_id: int
    project_name: str | None
    trigger: Trigger
    found_at: dt.datetime
    alerted_at: dt.datetime | None
    feedback: str | None
    is_open: bool
    """Whether the finding is large enough for an alert and has no feedback yet."""


class Feedback(NamedTuple):
    """Feedback on a series, valid from `first_day` to `last_day`, both included."""

    kind: FeedbackKind
    series: SeriesKey
    line_item: str | None
    first_day: dt.date
    last_day: dt.date
    reason: str


class StoredFeedback(NamedTuple):
    """Stored feedback and the finding that it refers to, valid from `first_day` to `last_day`, both included."""

    anomaly_id: int
    kind: FeedbackKind
    series: SeriesKey
    project_name: str | None
    line_item: str | None
    first_day: dt.date
    last_day: dt.date
    reason: str
    given_at: dt.datetime

    @property
    def organization(self) -> str:
        """The configured name of the organization."""
        return self.series.organization

    @property
    def level(self) -> str:
        """The label of the level, as in ``project and model``."""
        return self.series.level if self.line_item is None else PRICE_LEVEL

    @property
    def until(self) -> dt.date | None:
        """The last valid day, or None if the feedback never expires."""
        return None if self.last_day == FOREVER else self.last_day


def spend_of_series(connection: Connection, organization: str, days: DayRange) -> list[SeriesSpend]:
    """Return the spend of a range of days at every monitored level."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    rows = connection.execute(statement("anomalies/spend_of_series"), values)
    return [SeriesSpend._make(row) for row in rows]


def spend_breakdown(
    connection: Connection,
    organization: str,
    days: Sequence[dt.date],
    *,
    project: str = "",
    model: str = "",
    service: str = "",
    api_key: str = "",
    user: str = "",
) -> list[SpendDetail]:
    """Return the line items of a series on some days. For a user, these are billed and allocated costs."""
    values = {
        "organization": organization,
        "days": list(days),
        "project": project,
        "model": model,
        "service": service,
        "api_key": api_key,
        "user": user,
    }
    query = statement("anomalies/user_spend_breakdown" if user else "anomalies/spend_breakdown")
    with connection.cursor(row_factory=class_row(SpendDetail)) as cursor:
        return cursor.execute(query, values).fetchall()


def spend_of_users(connection: Connection, organization: str, days: DayRange) -> list[tuple[dt.date, str, Decimal]]:
    """Return day, user and spend in US dollars, for costs that were billed or allocated to a user."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    return connection.execute(statement("anomalies/spend_of_users"), values).fetchall()


def priced_days(connection: Connection, organization: str, days: DayRange) -> list[PricedDay]:
    """Return the amount and the quantity of each line item on each day, for line items that have a billed quantity."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    return [PricedDay._make(row) for row in connection.execute(statement("anomalies/unit_prices"), values)]


def stored_days(connection: Connection, organization: str, last: dt.date) -> list[EvaluatedDay]:
    """Return the total in US dollars of each UTC day with stored costs, oldest first, up to and including `last`."""
    with connection.cursor(row_factory=class_row(EvaluatedDay)) as cursor:
        return cursor.execute(
            statement("anomalies/stored_days"), {"organization": organization, "last": last}
        ).fetchall()


def replace_findings(
    connection: Connection,
    organization: str,
    days: Iterable[dt.date],
    found: Iterable[Finding],
    *,
    trigger: Trigger,
    now: dt.datetime,
    users: bool = False,
) -> list[int]:
    """Replace the findings of some days in one transaction and return their ids in the order of `found`.

    A finding that is stored already keeps its id, its time of detection and its alert. `users` selects the findings
    about users; otherwise all other findings are replaced. `trigger` is the trigger of the evaluating run.
    """
    values = {"organization": organization, "now": now, "days": list(days), "trigger": trigger, "users": users}
    with connection.transaction(), connection.cursor() as cursor:
        rows = [{**values, **finding.columns(), "organization": organization} for finding in found]
        # Alerts and feedback refer to findings by id, so existing findings are updated and keep their ids.
        cursor.executemany(statement("anomalies/upsert_finding"), rows, returning=True)
        # Without rows, `executemany` has no result to fetch.
        ids = _returned_ids(cursor) if rows else []
        cursor.execute(statement("anomalies/delete_outdated_findings"), values)
    return ids


def _returned_ids(cursor: psycopg.Cursor[tuple[Any, ...]]) -> list[int]:
    """Return the ids of `executemany`, which yields one result per row and sends all rows in one pipeline."""
    ids = []
    while True:
        ids += [int(anomaly_id) for (anomaly_id,) in cursor.fetchall()]
        if not cursor.nextset():
            return ids


def findings(
    connection: Connection,
    organization: str | None = None,
    *,
    first: dt.date | None = None,
    last: dt.date | None = None,
    anomaly_id: int | None = None,
    only_open: bool = False,
) -> list[StoredFinding]:
    """Return stored findings, newest and largest first.

    `only_open` excludes findings that are too small for an alert, muted, or have feedback.
    """
    values = {
        "organization": organization,
        "first": first,
        "last": last,
        "anomaly_id": anomaly_id,
        "only_open": only_open,
    }
    with connection.cursor(row_factory=series_row(StoredFinding)) as cursor:
        return cursor.execute(statement("anomalies/findings"), values).fetchall()


def feedback(connection: Connection, organization: str) -> list[Feedback]:
    """Return all feedback on findings of an organization, oldest first."""
    with connection.cursor(row_factory=series_row(Feedback)) as cursor:
        return cursor.execute(statement("anomalies/feedback"), {"organization": organization}).fetchall()


def store_feedback(
    connection: Connection, anomaly_id: int, *, kind: FeedbackKind, last_day: dt.date, reason: str, now: dt.datetime
) -> bool:
    """Store feedback on the series of a finding, from its day to `last_day`. Return False if no such finding exists."""
    values = {"anomaly_id": anomaly_id, "kind": kind, "last_day": last_day, "reason": reason, "now": now}
    return connection.execute(statement("anomalies/insert_feedback"), values).rowcount > 0


def delete_feedback(connection: Connection, anomaly_id: int, *, kind: FeedbackKind) -> int:
    """Delete the feedback of one kind that refers to a finding or covers it. Returns the number of deleted rows."""
    return connection.execute(statement("anomalies/delete_feedback"), {"anomaly_id": anomaly_id, "kind": kind}).rowcount


def stored_feedback(
    connection: Connection, kind: FeedbackKind, organization: str | None = None, *, running_on: dt.date | None = None
) -> list[StoredFeedback]:
    """Return feedback of one kind by organization, oldest first.

    With `running_on`, feedback that expired before that day is excluded.
    """
    values = {"kind": kind, "organization": organization, "running_on": running_on}
    with connection.cursor(row_factory=series_row(StoredFeedback)) as cursor:
        return cursor.execute(statement("anomalies/stored_feedback"), values).fetchall()


def end_of_mute(today: dt.date, days: int | None) -> dt.date:
    """Return the last day of a mute of `days` days that starts today, or `FOREVER` if `days` is None."""
    return FOREVER if days is None else today + (days - 1) * ONE_DAY


class DirectoryName(NamedTuple):
    """The current name of a project, user or API key. `kind` is ``project``, ``user`` or ``api_key``."""

    kind: str
    id: str
    name: str


def key_owners(connection: Connection, organization: str) -> dict[str, str]:
    """Return the owner of each API key, a user or a service account, by the id of the key."""
    return dict(connection.execute(statement("directory/key_owners"), {"organization": organization}).fetchall())


def directory_names(connection: Connection, organization: str) -> list[DirectoryName]:
    """Return the current names of projects, users and API keys. Keys named after an email address are excluded."""
    rows = connection.execute(statement("directory/current_names"), {"organization": organization})
    return [DirectoryName._make(row) for row in rows]
