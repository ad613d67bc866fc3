"""Meeting an organization: who it is at OpenAI, and where its history begins (asked once, kept for ever)."""

from __future__ import annotations

import datetime as dt

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi, Endpoint
from openai_costs_dagster.api.costs import OrganizationGuard, read_costs
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.cost_records import UNGROUPED
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.warehouse import organizations
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


def register(connection: Connection, organization: Organization) -> None:
    """Makes an organization known, or brings what is configured about it up to date."""
    organizations.enrol(
        connection,
        organization.name,
        display_name=organization.display_name,
        start_date=organization.start_date,
    )


def enrol(connection: Connection, api: AdminApi, organization: Organization, now: dt.datetime) -> str | None:
    """Makes an organization known, finds its earliest day on first contact, returns the id that answers must carry.

    That is the configured one, else the one that answers carried before, else None. Raises an `ApiError`.
    """
    register(connection, organization)
    known = organizations.find(connection, organization.name)
    if not is_met(organization, known, now.date()):
        organizations.first_contact(connection, organization.name, _earliest_day(api, now.date()), now)
    return organization.organization_id or (known.openai_organization_id if known else None)


def is_met(organization: Organization, known: organizations.Registered | None, today: dt.date) -> bool:
    """Whether its beginning is known: stored, or configured and well within the year that the API keeps."""
    if known and known.earliest_day:
        return True
    return bool(organization.start_date and organization.start_date >= today - _SURELY_SERVED)


def _earliest_day(api: AdminApi, today: dt.date) -> dt.date:
    """The earliest day that the API serves.

    One request, for a day too old: its refusal names the date. A server without such a limit, and one that refuses the
    day for another reason, begins a year back.
    """
    ancient = today - _SURELY_REFUSED
    try:
        for _ in read_costs(api, DayRange(ancient, ancient), UNGROUPED, OrganizationGuard(None)):
            pass
    except errors.LookbackExceeded as refusal:
        return refusal.earliest
    except (errors.GroupingRefused, errors.RequestRefused) as refusal:
        if refusal.status != 400:
            raise
    return fallback_start(today)
