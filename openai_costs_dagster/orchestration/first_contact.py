"""Meeting an organization: who it is at OpenAI, and where its history begins (asked once, kept for ever)."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi, Endpoint
from openai_costs_dagster.api.costs import OrganizationGuard, read_costs
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.cost_records import UNGROUPED
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.warehouse import registry
from openai_costs_dagster.warehouse.database import Connection

YEAR = dt.timedelta(days=365)
_SURELY_SERVED = dt.timedelta(days=360)
_SURELY_REFUSED = dt.timedelta(days=400)


def endpoint_of(organization: Organization) -> Endpoint:
    """Where and how an organization is read."""
    return Endpoint(organization.base_url, organization.admin_key.read, organization.read_proxy)


def fallback_start(today: dt.date) -> dt.date:
    """Where partitions begin as long as nothing else is known: a year back, which is what the API keeps."""
    return today - YEAR


def enrol(connection: Connection, api: AdminApi, organization: Organization, now: dt.datetime) -> str | None:
    """Makes an organization known, finds its earliest day on first contact, returns its id at OpenAI if known.

    Raises an `ApiError`, SharedOrganization or OrganizationChanged.
    """
    registry.enrol(
        connection,
        organization.name,
        display_name=organization.display_name,
        start_date=organization.start_date,
    )
    if organization.organization_id:
        registry.identify(connection, organization.name, organization.organization_id)
    known = registry.find(connection, organization.name)
    if known is None or known.earliest_day is None:
        earliest = _earliest_day(api, organization.start_date, now.date())
        if earliest:
            registry.first_contact(connection, organization.name, earliest, now)
    return known.openai_organization_id if known else None


def _earliest_day(api: AdminApi, start_date: dt.date | None, today: dt.date) -> dt.date | None:
    """The earliest day that the API serves; None where the configured start lies well within the year.

    One request, for a day too old: its refusal names the date. A server without such a limit begins a year back.
    """
    if start_date and start_date >= today - _SURELY_SERVED:
        return None
    ancient = today - _SURELY_REFUSED
    try:
        for _ in read_costs(api, DayRange(ancient, ancient), UNGROUPED, OrganizationGuard(None)):
            pass
    except errors.LookbackExceeded as refusal:
        return refusal.earliest
    return fallback_start(today)
