"""Whose a key is, held against whose it should be: answers of usage and directory do not say whose they are."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.costs import OrganizationGuard, read_costs
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.cost_records import UNGROUPED
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.warehouse import organizations
from openai_costs_dagster.warehouse.database import Connection

_LATELY = dt.timedelta(days=60)
_BELIEVED_FOR = dt.timedelta(hours=1)

_found: dict[bytes, tuple[str, dt.datetime]] = {}
"""OpenAI's organization id of each key and when this process last read costs with it, by `AdminApi.fingerprint`."""


def remember_identity(api: AdminApi, guard: OrganizationGuard, now: dt.datetime) -> None:
    """Spares `verify_identity` its request for a while: costs were just read through this guard."""
    if guard.organization_id:
        _found[api.fingerprint] = guard.organization_id, now


def verify_identity(
    connection: Connection, api: AdminApi, organization: Organization, days: DayRange, now: dt.datetime
) -> None:
    """Holds the key's organization against the expected one: the configured one, else the one that was met before.

    At most one request, unless some of the days are too old: the costs of the newest of `days` name the organization,
    where anything was spent. Raises WrongOrganization
    and any other `ApiError`, OrganizationChanged or SharedOrganization.
    """
    known = organizations.find(connection, organization.name)
    expected = organization.organization_id or (known.openai_organization_id if known else None)
    found, at = _found.get(api.fingerprint, ("", now - 2 * _BELIEVED_FOR))
    if found == expected and dt.timedelta(0) <= now - at < _BELIEVED_FOR:
        return
    guard = OrganizationGuard(expected)
    wanted: DayRange | None = DayRange(max(days.first, days.last - _LATELY), days.last)
    while wanted:
        try:
            for _ in read_costs(api, wanted, UNGROUPED, guard):
                pass
        except errors.LookbackExceeded as refusal:
            wanted = refusal.served_days(wanted)
        else:
            break
    if guard.organization_id:
        organizations.identify(connection, organization.name, guard.organization_id)
        remember_identity(api, guard, now)
