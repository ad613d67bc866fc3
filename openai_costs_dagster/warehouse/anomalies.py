"""Findings of the detector and what people said of them; and the spend that it judges."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from psycopg.rows import class_row

from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.records import PRICE_LEVEL, Direction, PricedDay, SeriesKey, Severity, Trigger
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.series_rows import series_row
from openai_costs_dagster.warehouse.statements import statement

FeedbackKind = Literal["mute", "expected"]

FOREVER = dt.date.max
"""The last day of a mute without an end."""


class SeriesSpend(NamedTuple):
    """What a series spent on a day; US dollars. An empty dimension means all of it."""

    usage_date: dt.date
    project: str
    model: str
    service: str
    api_key: str
    amount: Decimal


class SpendDetail(NamedTuple):
    """A part of a series' spend on a day; US dollars, quantity in its unit and null where unknown."""

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
    """A stored day."""

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
    """Of a changed unit price."""
    muted: bool = False
    """Whether someone muted the series on that day."""

    @property
    def organization(self) -> str:
        """The configured name of the organization."""
        return self.series.organization

    @property
    def level(self) -> str:
        """The label of the level, as in ``project and model``."""
        return self.series.level if self.line_item is None else PRICE_LEVEL

    def columns(self) -> dict[str, Any]:
        """Return the finding as the columns of its table; the series takes several of them."""
        fields = {name: value for name, value in asdict(self).items() if name != "series"}
        return {"organization": self.series.organization, **self.series.columns(), **fields, "level": self.level}

    @property
    def has_daily_range(self) -> bool:
        """Whether amounts and range are those of the day; otherwise they are sums over several days up to it."""
        return self.reason != "intermittent" and not self.reason.endswith(" days")


@dataclass(frozen=True, kw_only=True)
class StoredFinding(Finding):
    """A finding with what became of it."""

    anomaly_id: int
    project_name: str | None
    trigger: Trigger
    found_at: dt.datetime
    alerted_at: dt.datetime | None
    feedback: str | None
    is_open: bool
    """Worth someone's time, and not answered."""


class Feedback(NamedTuple):
    """What a person said of a series for some days, both ends included: `mute` or `expected`."""

    kind: FeedbackKind
    series: SeriesKey
    line_item: str | None
    first_day: dt.date
    last_day: dt.date
    reason: str


class StoredFeedback(NamedTuple):
    """A stored answer with the finding that it was given to; both ends of its days are included."""

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
        """The last day; None where it never ends."""
        return None if self.last_day == FOREVER else self.last_day


def spend_of_series(connection: Connection, organization: str, days: DayRange) -> list[SeriesSpend]:
    """The spend of some days, at every level that is judged."""
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
    """What makes up a series' spend on some days; of a user it is what was billed or allocated to them."""
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
    """What users spent on each of some days, as far as it was billed or allocated to them; US dollars."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    return connection.execute(statement("anomalies/spend_of_users"), values).fetchall()


def priced_days(connection: Connection, organization: str, days: DayRange) -> list[PricedDay]:
    """All line items that were billed by quantity, each oldest first."""
    values = {"organization": organization, "first": days.first, "last": days.last}
    return [PricedDay._make(row) for row in connection.execute(statement("anomalies/unit_prices"), values)]


def stored_days(connection: Connection, organization: str, last: dt.date) -> list[EvaluatedDay]:
    """The stored days up to a day, oldest first."""
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
) -> None:
    """Keeps what was found on some days and drops what is found there no more, in one transaction.

    `users` says whether users were judged, or everything else.
    """
    values = {"organization": organization, "now": now, "days": list(days), "trigger": trigger, "users": users}
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            statement("anomalies/upsert_finding"),
            [{**values, **finding.columns(), "organization": organization} for finding in found],
        )
        cursor.execute(statement("anomalies/delete_outdated_findings"), values)


def findings(
    connection: Connection,
    organization: str | None = None,
    *,
    first: dt.date | None = None,
    last: dt.date | None = None,
    anomaly_id: int | None = None,
    only_open: bool = False,
) -> list[StoredFinding]:
    """Stored findings, the newest and largest first. `only_open` leaves out what is small, muted or answered."""
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
    """All that people said of an organization's findings, oldest first."""
    with connection.cursor(row_factory=series_row(Feedback)) as cursor:
        return cursor.execute(statement("anomalies/feedback"), {"organization": organization}).fetchall()


def store_feedback(
    connection: Connection, anomaly_id: int, *, kind: str, last_day: dt.date, reason: str, now: dt.datetime
) -> bool:
    """Stores an answer to a finding: about its series, from its day to `last_day`. False if the finding is gone."""
    values = {"anomaly_id": anomaly_id, "kind": kind, "last_day": last_day, "reason": reason, "now": now}
    return connection.execute(statement("anomalies/insert_feedback"), values).rowcount > 0


def delete_feedback(connection: Connection, anomaly_id: int, *, kind: str) -> int:
    """Takes back the answers of a kind that were given to a finding or cover it. Returns how many there were."""
    return connection.execute(statement("anomalies/delete_feedback"), {"anomaly_id": anomaly_id, "kind": kind}).rowcount


def stored_feedback(
    connection: Connection, kind: str, organization: str | None = None, *, running_on: dt.date | None = None
) -> list[StoredFeedback]:
    """The answers of a kind, oldest first within an organization; with `running_on`, those that have not ended."""
    values = {"kind": kind, "organization": organization, "running_on": running_on}
    with connection.cursor(row_factory=series_row(StoredFeedback)) as cursor:
        return cursor.execute(statement("anomalies/stored_feedback"), values).fetchall()


def end_of_mute(today: dt.date, days: int | None) -> dt.date:
    """The last day of a mute that begins to count today; without a number of days it never ends."""
    return FOREVER if days is None else today + (days - 1) * ONE_DAY


class DirectoryName(NamedTuple):
    """What a project, user or API key is called; `kind` is project, user or api_key."""

    kind: str
    id: str
    name: str


def key_owners(connection: Connection, organization: str) -> dict[str, str]:
    """The user or service account that owns each API key, by the key's id."""
    return dict(connection.execute(statement("directory/key_owners"), {"organization": organization}).fetchall())


def directory_names(connection: Connection, organization: str) -> list[DirectoryName]:
    """The present names of projects, users and API keys. Keys whose name holds an address are left out."""
    rows = connection.execute(statement("directory/current_names"), {"organization": organization})
    return [DirectoryName._make(row) for row in rows]
