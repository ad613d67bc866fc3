"""Records alerts about incidents of unusual spend.

An alert is recorded when an incident opens, when its cost has doubled since the last alert, and when it ends. Alerts
are stored in the transaction that stores the findings, so that a crash can lose neither an alert nor a finding.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
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
from openai_costs_dagster.warehouse.anomalies import Feedback, Finding
from openai_costs_dagster.warehouse.database import Connection

_TITLES = {"opened": "unusual spend", "grown": "unusual spend has grown", "ended": "unusual spend has ended"}
# The period before the evaluated days for which incidents are loaded. No new finding can continue an incident that
# ended before this period.
_LOOKBACK = (QUIET_DAYS + 1) * ONE_DAY


@dataclass(frozen=True)
class AlertPolicy:
    """Decides which alerts about incidents are sent and which are only recorded.

    Alerts are sent only by a scheduled run, only about the trailing days, and never in the first evaluation of an
    organization.
    """

    trigger: Trigger
    is_first: bool
    """Whether no earlier run has evaluated the organization."""
    trailing_days: int
    today: dt.date

    def may_alert(self, day: dt.date) -> bool:
        """Return whether a finding on `day` is sent as an alert. If not, its alert is recorded as acknowledged."""
        return self.may_end and day > self.today - self.trailing_days * ONE_DAY

    @property
    def may_end(self) -> bool:
        """Whether an evaluation with this policy may end incidents."""
        return self.trigger == "schedule" and not self.is_first


def record_alerts(
    connection: Connection,
    organization: Organization,
    evaluations: Mapping[dt.date, DayEvaluation],
    findings: Mapping[int, Finding],
    policy: AlertPolicy,
    minimum: Decimal,
    now: dt.datetime,
    *,
    users: bool,
) -> None:
    """Update the incidents of an organization with the findings of evaluated days, and record an alert for each event.

    `findings` maps the database ids of the findings to the findings. `minimum` is the smallest impact in US dollars
    that is alerted. With `users=True`, the findings are about users.
    """
    if not evaluations:
        return
    name = organization.name
    # Without this lock, two concurrent evaluations would both open an incident for the same finding.
    outbox.lock(connection, name)
    first, last = min(evaluations), max(evaluations)
    # Costs and users are evaluated separately. An evaluation of costs must not end an incident of a user for lack of
    # findings.
    known = [
        incident
        for incident in incidents.recent(connection, name, first - _LOOKBACK)
        if bool(incident.series.user) == users
    ]
    # `update_incidents` changes the incidents in place. A comparison with these copies shows which incidents must be
    # stored.
    before = [replace(incident) for incident in known]
    # A person may have muted a series while the days were evaluated, so the feedback is loaded again.
    feedback = anomalies.feedback(connection, name)
    unusual = {
        UnusualDay(finding.usage_date, finding.series, finding.line_item, finding.impact): anomaly_id
        for anomaly_id, finding in findings.items()
        if finding.worth_alerting and not _has_feedback(finding, feedback)
    }
    names = display_names(connection, name, users=True)
    for event in update_incidents(known, unusual, policy.today, last, policy.may_alert, may_end=policy.may_end):
        anomaly_id = unusual[event.unusual_day] if event.unusual_day else None
        finding = findings[anomaly_id] if anomaly_id is not None else None
        chart = evaluations[finding.usage_date].chart_png if finding else None
        alert = replace(_alert(organization, event, finding, minimum, names), anomaly_id=anomaly_id, chart=chart)
        outbox.record(connection, alert, now, acknowledged=event.acknowledged)
    for incident in known:
        if incident not in before:
            incidents.store(connection, name, incident)


def _has_feedback(finding: Finding, feedback: Iterable[Feedback]) -> bool:
    """Return whether a person muted the series of a finding on its day, or marked the day as expected."""
    return any(
        answer.series == finding.series
        and answer.line_item == finding.line_item
        and answer.first_day <= finding.usage_date <= answer.last_day
        for answer in feedback
    )


def _alert(
    organization: Organization, event: IncidentEvent, finding: Finding | None, minimum: Decimal, names: DisplayNames
) -> outbox.Alert:
    incident = event.incident
    day = finding.usage_date if finding else incident.last_day
    # The first field of a series is the organization, which the key already contains.
    key = [event.event, organization.name, incident.direction, str(incident.first_day), *incident.series[1:]]
    # One incident can grow several times. The impact in the key allows an alert for each time.
    key += [incident.line_item or ""] + ([f"{incident.alerted_impact:.2f}"] if event.event == "grown" else [])
    return outbox.Alert(
        dedup_key=outbox.dedup_key("anomaly", *key),
        kind="anomaly",
        event=event.event,
        severity=finding.severity if finding else severity(incident.alerted_impact, minimum),
        title=f"{organization.name}: {_TITLES[event.event]} on {day}",
        message=_explanation(finding, names) if finding else _ended(incident, names),
        organization=organization.name,
        project_id=incident.series.columns()["project_id"],
        usage_date=day,
        facts=_facts(finding) if finding else (),
        page=asset_paths.check_page(_asset(organization, incident.series), asset_paths.ANOMALOUS_SPEND, day),
    )


def _explanation(finding: Finding, names: DisplayNames) -> str:
    """Return the explanation of a finding with the user's name instead of the user's id.

    Stored explanations contain only the id, so that `forget-user` can delete the name.
    """
    user = finding.series.user
    return finding.explanation.replace(user, names.user(user)) if user else finding.explanation


def _facts(finding: Finding) -> list[tuple[str, str]]:
    return [
        ("Spent", dollars(finding.actual)),
        ("Expected", dollars(finding.expected)),
        ("Usual", f"{dollars(finding.lower)} to {dollars(finding.upper)}"),
        ("Impact", signed_dollars(finding.impact)),
        ("Severity", finding.severity),
    ]


def _ended(incident: Incident, names: DisplayNames) -> str:
    series = incident.line_item or names.series(incident.series)
    return (
        f"The unusual spend of {series} since {incident.first_day} has ended or has become the usual level. "
        f"The last unusual day was {incident.last_day}."
    )


def _asset(organization: Organization, series: SeriesKey) -> list[str]:
    return asset_paths.allocated_costs_path(organization) if series.user else asset_paths.costs_path(organization)


def is_first_evaluation(connection: Connection, organization: str, run_id: str) -> bool:
    """Return whether no earlier run evaluated the organization.

    The first run evaluates a year of history, and its findings are too old for alerts.
    """
    return organizations.claim_first_evaluation(connection, organization, run_id) == run_id
