"""What people are told of anomalies: a new one, one that costs twice of what they know of, one that is over.

Written into the outbox in the transaction that keeps the findings.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.monitoring.anomalies import display_names
from openai_costs_dagster.monitoring.findings import DayEvaluation
from openai_costs_dagster.monitoring.other_findings import severity
from openai_costs_dagster.records import Incident, SeriesKey, Trigger
from openai_costs_dagster.spend.explanation import DisplayNames
from openai_costs_dagster.spend.incidents import QUIET_DAYS, IncidentEvent, UnusualDay, update_incidents
from openai_costs_dagster.spend.money import dollars, signed_dollars
from openai_costs_dagster.warehouse import anomalies, incidents, organizations, outbox
from openai_costs_dagster.warehouse.anomalies import StoredFinding
from openai_costs_dagster.warehouse.database import Connection

_TITLES = {"opened": "unusual spend", "grown": "unusual spend that grows", "ended": "unusual spend is over"}
_MEMORY = (QUIET_DAYS + 1) * ONE_DAY


@dataclass(frozen=True)
class AlertPolicy:
    """Who asked for a evaluation: only a scheduled refresh tells of the trailing days, and never the first one."""

    trigger: Trigger
    is_first: bool
    trailing_days: int
    today: dt.date

    def may_alert(self, day: dt.date) -> bool:
        """Whether what is found on a day is news; otherwise it is recorded as already seen."""
        return self.may_end and day > self.today - self.trailing_days * ONE_DAY

    @property
    def may_end(self) -> bool:
        """Whether an incident may be called over."""
        return self.trigger == "schedule" and not self.is_first


def record_alerts(
    connection: Connection,
    organization: Organization,
    evaluations: Mapping[dt.date, DayEvaluation],
    policy: AlertPolicy,
    minimum: Decimal,
    now: dt.datetime,
    *,
    users: bool,
) -> None:
    """Follows the incidents of an organization over judged days and records what is new about them."""
    if not evaluations:
        return
    name = organization.name
    outbox.lock(connection, name)
    first, last = min(evaluations), max(evaluations)
    known = [
        incident
        for incident in incidents.recent(connection, name, first - _MEMORY)
        if bool(incident.series.user) == users
    ]
    before = [replace(incident) for incident in known]
    found = {
        UnusualDay(finding.usage_date, finding.series, finding.line_item, finding.impact): finding
        for finding in anomalies.findings(connection, name, first=first, last=last)
        if finding.worth_alerting
        and not finding.feedback
        and finding.usage_date in evaluations
        and bool(finding.series.user) == users
    }
    called = display_names(connection, name, users=True)
    for news in update_incidents(known, found, policy.today, last, policy.may_alert, may_end=policy.may_end):
        finding = found[news.unusual_day] if news.unusual_day else None
        chart = evaluations[finding.usage_date].chart_png if finding else None
        outbox.record(
            connection, _alert(organization, news, finding, minimum, chart, called), now, acknowledged=news.acknowledged
        )
    for incident in known:
        if incident not in before:
            incidents.store(connection, name, incident)


def _alert(
    organization: Organization,
    news: IncidentEvent,
    finding: StoredFinding | None,
    minimum: Decimal,
    chart: bytes | None,
    called: DisplayNames,
) -> outbox.Alert:
    incident = news.incident
    day = finding.usage_date if finding else incident.last_day
    key = [news.event, organization.name, incident.direction, str(incident.first_day), *incident.series[1:]]
    key += [incident.line_item or ""] + ([f"{incident.alerted_impact:.2f}"] if news.event == "grown" else [])
    sentence = finding.explanation if finding else _over(incident, called)
    return outbox.Alert(
        dedup_key=outbox.dedup_key("anomaly", *key),
        kind="anomaly",
        event=news.event,
        severity=finding.severity if finding else severity(incident.alerted_impact, minimum),
        title=f"{organization.name}: {_TITLES[news.event]} on {day}",
        message=sentence,
        organization=organization.name,
        project_id=incident.series.columns()["project_id"],
        usage_date=day,
        anomaly_id=finding.anomaly_id if finding else None,
        facts=_facts(finding) if finding else (),
        page=asset_paths.check_page(_asset(organization, incident.series), asset_paths.ANOMALOUS_SPEND, day),
        chart=chart,
    )


def _facts(finding: StoredFinding) -> list[tuple[str, str]]:
    return [
        ("Spent", dollars(finding.actual)),
        ("Expected", dollars(finding.expected)),
        ("Usual", f"{dollars(finding.lower)} to {dollars(finding.upper)}"),
        ("Impact", signed_dollars(finding.impact)),
        ("Severity", finding.severity),
    ]


def _over(incident: Incident, called: DisplayNames) -> str:
    named = incident.line_item or called.series(incident.series)
    return (
        f"What was unusual about {named} since {incident.first_day} is over, or has become the new normal: its last "
        f"unusual day was {incident.last_day}."
    )


def _asset(organization: Organization, series: SeriesKey) -> list[str]:
    return asset_paths.allocated_costs_path(organization) if series.user else asset_paths.costs_path(organization)


def is_first_evaluation(connection: Connection, organization: str, run_id: str) -> bool:
    """Whether no run before this one judged any day of an organization: then all that it finds was there before."""
    return organizations.claim_first_evaluation(connection, organization, run_id) == run_id
