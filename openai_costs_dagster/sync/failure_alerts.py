"""What people are told of reading: that it fails, once, and that it works again.

What a person has to mend is told at once; what may pass by itself when it did not within an hour. It is over when the
newest day that failed is stored, so that a run for other days that works is not taken for the end of it; lost access
is over with the first reading that has it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.records import Trigger
from openai_costs_dagster.sync.outcome import DayFailure, Outcome
from openai_costs_dagster.warehouse import open_failures, outbox
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.open_failures import OpenFailure

SYNC = "sync"
KIND = "sync_failure"
PATIENCE = dt.timedelta(minutes=50)
"""How long what may pass by itself is waited for: an hourly refresh tries it once more in this time."""

ACCESS = frozenset({"AuthenticationFailed", "PermissionDenied", "WrongOrganization", "SecretUnavailable"})
_SOME_DAYS = "days"


def record_alerts(
    connection: Connection, organization: Organization, outcome: Outcome, trigger: Trigger, now: dt.datetime
) -> None:
    """Follows what an organization's reading comes to; part of the transaction that records it.

    Failures count when a scheduled refresh meets them; days that are stored count whoever asked.
    """
    known = open_failures.find(connection, organization.name, SYNC)
    failed = {day: one for day, one in outcome.failed.items() if day not in outcome.outside_retention}
    if failed and trigger == "schedule":
        _failed(connection, organization, known, failed, outcome, now)
    elif known:
        _worked(connection, organization, known, outcome, now)


def _failed(
    connection: Connection,
    organization: Organization,
    known: OpenFailure | None,
    failed: dict[dt.date, DayFailure],
    outcome: Outcome,
    now: dt.datetime,
) -> None:
    worst = min(failed.values(), key=lambda one: (one.kind not in ACCESS, not one.permanent))
    reason = worst.kind if worst.kind in ACCESS else _SOME_DAYS
    severity = "high" if worst.permanent else "medium"
    days = sorted(set(known.days if known else ()) | set(failed))
    if known is None:
        trouble = OpenFailure(SYNC, reason, outcome.message, severity, days, now, None)
    else:
        told = known.announced_at if reason in {known.reason, _SOME_DAYS} else None
        trouble = replace(
            known,
            reason=reason,
            message=outcome.message,
            severity=severity,
            days=days,
            announced_at=told,
        )
    if trouble.announced_at is None and (worst.permanent or now - trouble.opened_at >= PATIENCE):
        outbox.record(connection, _alert(organization, trouble, worst), now)
        trouble = replace(trouble, announced_at=now)
    open_failures.keep(connection, organization.name, trouble)


def _worked(
    connection: Connection, organization: Organization, known: OpenFailure, outcome: Outcome, now: dt.datetime
) -> None:
    has_access = known.reason in ACCESS and bool(outcome.stored)
    if outcome.failed or not (has_access or known.days[-1] in outcome.stored):
        return
    open_failures.end(connection, organization.name, SYNC)
    if known.announced_at:
        outbox.record(connection, _recovery(organization, known), now)


def _alert(organization: Organization, trouble: OpenFailure, worst: DayFailure) -> outbox.Alert:
    what = "its key is refused" if worst.kind in ACCESS else "costs cannot be read"
    return outbox.Alert(
        dedup_key=outbox.dedup_key("sync", organization.name, trouble.opened_at.isoformat(), trouble.reason),
        kind=KIND,
        event="failed",
        severity=trouble.severity,
        title=f"{organization.name}: {what}",
        message=trouble.message,
        organization=organization.name,
        facts=[("Since", f"{trouble.opened_at:%Y-%m-%d %H:%M} UTC"), ("Days", _days(trouble.days))],
        page=asset_paths.asset_page(asset_paths.costs_path(organization)),
    )


def _recovery(organization: Organization, trouble: OpenFailure) -> outbox.Alert:
    return outbox.Alert(
        dedup_key=outbox.dedup_key("sync", organization.name, trouble.opened_at.isoformat(), "recovered"),
        kind=KIND,
        event="recovered",
        severity=trouble.severity,
        title=f"{organization.name}: costs are read again",
        message=f"What failed since {trouble.opened_at:%Y-%m-%d %H:%M} UTC works again.",
        organization=organization.name,
        page=asset_paths.asset_page(asset_paths.costs_path(organization)),
    )


def _days(days: list[dt.date]) -> str:
    return ", ".join(map(str, DayRange.covering(days)))
