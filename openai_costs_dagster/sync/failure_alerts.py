"""Alerts about failed synchronization of costs: one alert when an organization's costs cannot be read, and one alert
when they can be read again.

A failure that needs a person, for example a revoked admin key, alerts at once. A failure that may disappear by itself,
for example an error of OpenAI's server, alerts if it lasts longer than `TRANSIENT_GRACE_PERIOD`.

A failure ends when a run without failed days stores the newest day that had failed. A failure of access, for example a
revoked admin key, ends with the first run without failed days that stores any day.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Final

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.records import Severity, Trigger
from openai_costs_dagster.sync.key_rotation import rotation_steps
from openai_costs_dagster.sync.outcome import DayFailure, Outcome
from openai_costs_dagster.warehouse import open_failures, outbox
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.open_failures import OpenFailure

SYNC: Final = "sync"
"""The value of the column `kind` for failures to synchronize costs in the table `open_failures`."""
KIND: Final = "sync_failure"
"""The value of the column `kind` for alerts about failed synchronization in the table `outbox`."""
TRANSIENT_GRACE_PERIOD = dt.timedelta(minutes=50)
"""The time that a transient failure must last before it alerts.

It is shorter than an hour, so that the alert is sent when a second hourly refresh in a row fails.
"""

ACCESS_FAILURES = frozenset({"AuthenticationFailed", "PermissionDenied", "WrongOrganization", "SecretUnavailable"})
"""The class names of errors of the admin key, after which no day of the organization can be fetched."""
_SOME_DAYS = "days"
"""The value of the column `reason` for failures of single days, as opposed to failures of access."""


def record_alerts(
    connection: Connection, organization: Organization, outcome: Outcome, trigger: Trigger, now: dt.datetime
) -> None:
    """Open, update or close an organization's open failure after a run, and record the resulting alert.

    Must be called in the transaction that stores the result of the run. Only a scheduled run opens a failure, because a
    person who starts a run sees its failure without an alert. Every run can close an open failure.
    """
    open_failure = open_failures.find(connection, organization.name, SYNC)
    # A day that OpenAI no longer serves can never be fetched. An alert about such a day would call for an impossible
    # fix.
    failed = {day: failure for day, failure in outcome.failed.items() if day not in outcome.outside_retention}
    if failed and trigger == "schedule":
        _record_failure(connection, organization, open_failure, failed, outcome, now)
    elif open_failure:
        _close_if_recovered(connection, organization, open_failure, outcome, now)


def _record_failure(
    connection: Connection,
    organization: Organization,
    open_failure: OpenFailure | None,
    failed: dict[dt.date, DayFailure],
    outcome: Outcome,
    now: dt.datetime,
) -> None:
    # If several days failed for different reasons, a failure of access decides, because it affects every day of the
    # organization. Otherwise a failure that needs a person comes before a failure that may disappear by itself.
    worst = min(failed.values(), key=lambda failure: (failure.kind not in ACCESS_FAILURES, not failure.permanent))
    reason = worst.kind if worst.kind in ACCESS_FAILURES else _SOME_DAYS
    severity: Severity = "high" if worst.permanent else "medium"
    days = sorted(set(open_failure.days if open_failure else ()) | set(failed))
    if open_failure is None:
        failure = OpenFailure(SYNC, reason, outcome.message, severity, days, now, None)
    else:
        # A failure of access that differs from the stored reason is a new problem, so it alerts again. Failures of
        # single days do not alert again while a failure is open.
        announced_at = open_failure.announced_at if reason in {open_failure.reason, _SOME_DAYS} else None
        failure = replace(
            open_failure,
            reason=reason,
            message=outcome.message,
            severity=severity,
            days=days,
            announced_at=announced_at,
        )
    is_due = worst.permanent or now - failure.opened_at >= TRANSIENT_GRACE_PERIOD
    if failure.announced_at is None and is_due:
        outbox.record(connection, _failure_alert(organization, failure, worst), now)
        failure = replace(failure, announced_at=now)
    open_failures.store(connection, organization.name, failure)


def _close_if_recovered(
    connection: Connection, organization: Organization, open_failure: OpenFailure, outcome: Outcome, now: dt.datetime
) -> None:
    has_access_again = open_failure.reason in ACCESS_FAILURES and bool(outcome.stored)
    if outcome.failed or not (has_access_again or open_failure.days[-1] in outcome.stored):
        return
    open_failures.delete(connection, organization.name, SYNC)
    if open_failure.announced_at:
        outbox.record(connection, _recovery_alert(organization, open_failure), now)


def _failure_alert(organization: Organization, failure: OpenFailure, worst: DayFailure) -> outbox.Alert:
    problem = "its admin key does not work" if worst.kind in ACCESS_FAILURES else "costs cannot be read"
    # Rotating the admin key only helps if OpenAI rejects it. Other failures of access, for example a missing scope of
    # the admin key, name another remedy in their message.
    steps = f". {rotation_steps(organization)}" if worst.kind == "AuthenticationFailed" else ""
    return outbox.Alert(
        # An alert with a known deduplication key is never sent again. The key contains the time at which the failure
        # was opened, so that a later failure alerts again. It also contains the reason, so that a failure of access
        # alerts even if an alert about failed days was sent before.
        dedup_key=outbox.dedup_key("sync", organization.name, failure.opened_at.isoformat(), failure.reason),
        kind=KIND,
        event="failed",
        severity=failure.severity,
        title=f"{organization.name}: {problem}",
        message=f"{failure.message.removesuffix('.') if steps else failure.message}{steps}",
        organization=organization.name,
        facts=[
            ("Since", f"{failure.opened_at:%Y-%m-%d %H:%M} UTC"),
            ("Days", ", ".join(map(str, DayRange.covering(failure.days)))),
        ],
        page=asset_paths.asset_page(asset_paths.costs_path(organization)),
    )


def _recovery_alert(organization: Organization, failure: OpenFailure) -> outbox.Alert:
    return outbox.Alert(
        dedup_key=outbox.dedup_key("sync", organization.name, failure.opened_at.isoformat(), "recovered"),
        kind=KIND,
        event="recovered",
        severity=failure.severity,
        title=f"{organization.name}: costs are read again",
        message=f"The failure since {failure.opened_at:%Y-%m-%d %H:%M} UTC is over.",
        organization=organization.name,
        page=asset_paths.asset_page(asset_paths.costs_path(organization)),
    )
