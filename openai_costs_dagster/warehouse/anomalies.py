"""Reads and writes anomaly findings and users' feedback on findings, and reads the spend that the detector evaluates.

A series is the daily spend of one project, model, service, API key or user, or of a combination of these.
"""

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

# PostgreSQL has the date `infinity`, but Python's `date` cannot represent it. The latest Python date replaces it.
FOREVER = dt.date.max
"""The last day of feedback that never expires, for example of a mute without an end date."""


class SeriesSpend(NamedTuple):
    """The spend of one series (project, model, service, API key) on one UTC day, in US dollars.

    An empty string in a field means all values of the field: with `model` empty, the series covers all models.
    """

    usage_date: dt.date
    project: str
    model: str
    service: str
    api_key: str
    amount: Decimal


class SpendDetail(NamedTuple):
    """The part of one line item in a series' spend on one UTC day, in US dollars.

    `quantity` is None if OpenAI reported no quantity.
    """

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
    """A stored UTC day of an organization, with the day's total spend in US dollars."""

    usage_date: dt.date
    provisional: bool
    amount_usd: Decimal


@dataclass(frozen=True)
class Finding:
    """A UTC day on which the spend of a series, or the unit price of a line item, was unusual.

    Amounts are in US dollars. `lower` and `upper` limit the expected range, and `impact` is `actual` minus `expected`.
    """

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
    """The line item whose unit price changed; None if the finding is about an amount of spend."""
    muted: bool = False
    """Whether a user has muted alerts about this series for the day of the finding."""

    @property
    def organization(self) -> str:
        """The configured name of the organization."""
        return self.series.organization

    @property
    def level(self) -> str:
        """The label of the level, as in ``project and model``."""
        return self.series.level if self.line_item is None else PRICE_LEVEL

    def columns(self) -> dict[str, Any]:
        """Return the values for a row of the table `anomaly_findings`, by column name.

        The project, model and other dimensions of the series are separate columns.
        """
        fields = {name: value for name, value in asdict(self).items() if name != "series"}
        return {"organization": self.series.organization, **self.series.columns(), **fields, "level": self.level}

    @property
    def has_daily_range(self) -> bool:
        """Whether the finding compares the amount of a single day, as opposed to a sum over several days."""
        # `reason` names the detection rule. A reason such as "5 days" is the sum of that many days in a row, and the
        # rule "intermittent" also compares sums of several days.
        return self.reason != "intermittent" and not self.reason.endswith(" days")


@dataclass(frozen=True, kw_only=True)
class StoredFinding(Finding):
    """A row of the table `anomaly_findings`: a finding with its id, its feedback, and when it was found and alerted."""

    anomaly_id: int
    project_name: str | None
    trigger: Trigger
    found_at: dt.datetime
    alerted_at: dt.datetime | None
    feedback: str | None
    is_open: bool
    """Whether the finding still needs a decision: it is large enough for an alert, not muted, and has no feedback."""


class Feedback(NamedTuple):
    """A user's feedback on a series of spend. The feedback applies from `first_day` up to and including `last_day`."""

    kind: FeedbackKind
    series: SeriesKey
    line_item: str | None
    first_day: dt.date
    last_day: dt.date
    reason: str


class StoredFeedback(NamedTuple):
    """Stored feedback, with the id of the finding on which a user gave the feedback.

    The feedback applies to the finding's series from `first_day` up to and including `last_day`.
    """

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
        """The last day to which the feedback applies, or None if the feedback never expires."""
        return None if self.last_day == FOREVER else self.last_day


def spend_of_series(connection: Connection, organization: str, days: DayRange) -> list[SeriesSpend]:
    """Return the daily spend of every series that is monitored for anomalies, for a range of days.

    The series are those of all projects, models, services and API keys, and of their monitored combinations.
    """
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
    """Return the spend of one series on the given days, split by line item.

    With `user`, returns the costs that OpenAI billed to the user or that were allocated to the user.
    """
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
    """Return one tuple (day, user id, US dollars) for each user and day with costs that were billed or allocated."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    return connection.execute(statement("anomalies/spend_of_users"), values).fetchall()


def priced_days(connection: Connection, organization: str, days: DayRange) -> list[PricedDay]:
    """Return the billed amount and quantity of each line item on each day of a range, to compute unit prices.

    Leaves out line items without a billed quantity and costs in currencies other than US dollars.
    """
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
    """Replace the stored findings of the given days by `found` in one transaction.

    Returns the ids of the findings in the order of `found`. A finding that was stored before keeps its id, and the
    times at which it was found and alerted. With `users`, only findings about users are replaced; without `users`, all
    other findings. `trigger` is the cause of the run that evaluated the days.
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
    """Return the ids that the statements of an `executemany` call returned.

    The cursor has one result for each executed statement, and `nextset` moves to the next result.
    """
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
    """Return the stored findings that match all arguments that are not None, newest day and largest impact first.

    With `only_open`, leaves out findings that are too small for an alert, that are muted, or that have feedback.
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
    """Return all feedback that users gave on findings of an organization, oldest feedback first."""
    with connection.cursor(row_factory=series_row(Feedback)) as cursor:
        return cursor.execute(statement("anomalies/feedback"), {"organization": organization}).fetchall()


def store_feedback(
    connection: Connection, anomaly_id: int, *, kind: FeedbackKind, last_day: dt.date, reason: str, now: dt.datetime
) -> bool:
    """Store feedback on the series of the finding `anomaly_id`, and return False if this finding does not exist.

    The feedback applies from the day of the finding up to and including `last_day`.
    """
    values = {"anomaly_id": anomaly_id, "kind": kind, "last_day": last_day, "reason": reason, "now": now}
    return connection.execute(statement("anomalies/insert_feedback"), values).rowcount > 0


def delete_feedback(connection: Connection, anomaly_id: int, *, kind: FeedbackKind) -> int:
    """Delete all feedback of one kind that applies to the finding `anomaly_id`, and return the number of deleted rows.

    This includes all mutes of the finding's series, and feedback on other findings of the series that covers its day.
    """
    return connection.execute(statement("anomalies/delete_feedback"), {"anomaly_id": anomaly_id, "kind": kind}).rowcount


def stored_feedback(
    connection: Connection, kind: FeedbackKind, organization: str | None = None, *, running_on: dt.date | None = None
) -> list[StoredFeedback]:
    """Return the stored feedback of one kind, for example all mutes, ordered by organization and then oldest first.

    With `organization`, returns only feedback of this organization. With `running_on`, leaves out feedback that expired
    before this day.
    """
    values = {"kind": kind, "organization": organization, "running_on": running_on}
    with connection.cursor(row_factory=series_row(StoredFeedback)) as cursor:
        return cursor.execute(statement("anomalies/stored_feedback"), values).fetchall()


def end_of_mute(today: dt.date, days: int | None) -> dt.date:
    """Return the last day of a mute that starts on `today` and lasts `days` days; `FOREVER` if `days` is None."""
    return FOREVER if days is None else today + (days - 1) * ONE_DAY


class DirectoryName(NamedTuple):
    """The current name of the project, user or API key with this id. `kind` is project, user or api_key."""

    kind: str
    id: str
    name: str


def key_owners(connection: Connection, organization: str) -> dict[str, str]:
    """Return the id of each API key's owner, which is a user or a service account, by the id of the API key."""
    return dict(connection.execute(statement("directory/key_owners"), {"organization": organization}).fetchall())


def directory_names(connection: Connection, organization: str) -> list[DirectoryName]:
    """Return the current names of an organization's projects, users and API keys.

    Leaves out API keys whose name contains an email address, because `openai-costs forget-user` could not delete the
    address from every text that shows the name.
    """
    rows = connection.execute(statement("directory/current_names"), {"organization": organization})
    return [DirectoryName._make(row) for row in rows]
