"""Verifies that an organization's key belongs to the expected OpenAI organization.

Responses of the usage endpoints and of the directory do not contain an organization id, so a wrong key would store
another organization's data without an error. Responses of the costs endpoint contain the id.
"""

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

_MAX_WINDOW = dt.timedelta(days=60)
"""The longest range of days whose costs are requested to find the organization id."""
_VALID_FOR = dt.timedelta(hours=1)
"""Time during which this process does not verify the same key again."""

# Costs, usage and names of an organization are often read one after the other by the same process. Without this record,
# each of these steps would send the same request.
_verified: dict[bytes, tuple[str, dt.datetime]] = {}
"""The OpenAI organization id of each key and the time of its last verification, by `AdminApi.fingerprint`."""


def remember_identity(api: AdminApi, guard: OrganizationGuard, now: dt.datetime) -> None:
    """Record in memory that the key of `api` is verified, so that `verify_identity` sends no request."""
    if guard.organization_id:
        _verified[api.fingerprint] = guard.organization_id, now


def verify_identity(
    connection: Connection, api: AdminApi, organization: Organization, days: DayRange, now: dt.datetime
) -> None:
    """Request the costs of the newest of `days` and compare their organization id with the expected one.

    The expected id is the configured one, or else the id of earlier responses. Sends no request if the key was verified
    within the last hour. Costs of an organization without spend contain no id: the key is then accepted.

    Raises WrongOrganization, OrganizationChanged, SharedOrganization or another `ApiError`.
    """
    stored = organizations.find(connection, organization.name)
    expected = organization.organization_id or (stored.openai_organization_id if stored else None)
    found, at = _verified.get(api.fingerprint, ("", now - 2 * _VALID_FOR))
    # A negative age means that the clock was set back, so it does not show that the verification is recent.
    if found == expected and dt.timedelta(0) <= now - at < _VALID_FOR:
        return
    guard = OrganizationGuard(expected)
    window: DayRange | None = DayRange(max(days.first, days.last - _MAX_WINDOW), days.last)
    while window:
        try:
            for _ in read_costs(api, window, UNGROUPED, guard):
                pass  # `read_costs` lets the guard check every row, so the rows themselves are not needed.
        except (errors.LookbackExceeded, errors.DaysNotStarted) as refusal:
            # Repeat the request for the part that OpenAI serves; None if it serves no day of the window.
            window = refusal.served_days(window)
        else:
            break
    if guard.organization_id:
        organizations.bind_openai_organization(connection, organization.name, guard.organization_id)
        remember_identity(api, guard, now)
