"""Verifies that an organization's admin key belongs to the expected OpenAI organization.

Responses with usage, or with names of projects, users and API keys, contain no organization id. A wrong admin key would
therefore store another organization's data without an error. Only responses of the costs endpoint contain the
organization id, so this module requests costs.
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
"""The longest range of days whose costs are requested to find the organization id in a response."""
_VALID_FOR = dt.timedelta(hours=1)
"""The time during which this process does not verify the same admin key again."""

# A process often synchronizes costs, usage and names of an organization one after the other. Without `_verified`, each
# of these steps would send the same request to verify the admin key.
_verified: dict[bytes, tuple[str, dt.datetime]] = {}
"""The verified admin keys, by `AdminApi.fingerprint`: OpenAI organization id, and time of the last verification."""


def remember_identity(api: AdminApi, guard: OrganizationGuard, now: dt.datetime) -> None:
    """Record that the admin key of `api` belongs to the organization that `guard` found in a response.

    For an hour, `verify_identity` then sends no request for this admin key. The record is kept in memory only.
    """
    if guard.organization_id:
        _verified[api.fingerprint] = guard.organization_id, now


def verify_identity(
    connection: Connection, api: AdminApi, organization: Organization, days: DayRange, now: dt.datetime
) -> None:
    """Verify that the admin key of `api` belongs to the expected OpenAI organization.

    Requests the costs of up to 60 days, the newest of `days`, and compares the organization id in the response with the
    expected id. The expected id is the configured id, or else the id in earlier responses. Sends no request if the
    admin key was verified within the last hour. Without spend, the response contains no id, and the admin key is
    accepted.

    Raises `WrongOrganization`, `OrganizationChanged`, `SharedOrganization`, or an `ApiError` if the request fails.
    """
    stored = organizations.find(connection, organization.name)
    expected = organization.organization_id or (stored.openai_organization_id if stored else None)
    found, at = _verified.get(api.fingerprint, ("", now - 2 * _VALID_FOR))
    # A verification in the future means that the local clock was set back. The age of the verification is then unknown,
    # so the admin key is verified again.
    if found == expected and dt.timedelta(0) <= now - at < _VALID_FOR:
        return
    guard = OrganizationGuard(expected)
    window: DayRange | None = DayRange(max(days.first, days.last - _MAX_WINDOW), days.last)
    while window:
        try:
            for _ in read_costs(api, window, UNGROUPED, guard):
                pass  # `read_costs` already passes the organization id of every row to the guard.
        except (errors.LookbackExceeded, errors.DaysNotStarted) as refusal:
            # OpenAI refused some of the days, so the request is repeated for the days that OpenAI serves. If OpenAI
            # serves none of the days, `window` becomes None and the admin key is not verified.
            window = refusal.served_days(window)
        else:
            break
    if guard.organization_id:
        organizations.bind_openai_organization(connection, organization.name, guard.organization_id)
        remember_identity(api, guard, now)
