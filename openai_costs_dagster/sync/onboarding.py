"""Onboards organizations: registers each organization's name and finds the first day that OpenAI serves for it.

The first day is requested from OpenAI once and then stored. An organization's Dagster partitions start at its first
day.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi, ConnectionSettings
from openai_costs_dagster.api.costs import OrganizationGuard, read_costs
from openai_costs_dagster.api.errors import ApiError
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.cost_records import UNGROUPED
from openai_costs_dagster.days import DayRange, utc_now
from openai_costs_dagster.sync.history_start import fallback_start, start_of
from openai_costs_dagster.warehouse import lock
from openai_costs_dagster.warehouse import organizations as organizations_table
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.errors import WarehouseError

_LOG = logging.getLogger(__name__)

_SURELY_SERVED = dt.timedelta(days=360)
"""The age up to which OpenAI serves a day in any case: one year, less a margin for leap days and time zones."""
_SURELY_REFUSED = dt.timedelta(days=400)
"""The age from which OpenAI refuses a day in any case: one year and a margin.

The error message of the refusal names the first day that OpenAI serves.
"""


def connection_settings(organization: Organization) -> ConnectionSettings:
    """Return the server's address, the admin key and the proxy that requests for an organization use."""
    return ConnectionSettings(organization.base_url, organization.admin_key.read, organization.read_proxy)


def start_dates(
    organizations: Iterable[Organization], database: Database, *, now: Callable[[], dt.datetime] = utc_now
) -> tuple[dict[str, dt.date], dict[str, str]]:
    """Return two mappings by organization name: the first day of the history, and the error if no day could be found.

    Each organization is in one of the two mappings. Sends one request for each organization that is not onboarded.
    Raises a `WarehouseError` if an organization's error cannot be stored.
    """
    starts: dict[str, dt.date] = {}
    unreachable: dict[str, str] = {}
    for organization in organizations:
        try:
            starts[organization.name] = _start_date(organization, database, now)
        except (ApiError, SecretUnavailable) as error:
            unreachable[organization.name] = str(error)
            _record_failure(organization, database, str(error), now())
        except WarehouseError as error:
            unreachable[organization.name] = str(error)
    return starts, unreachable


def _start_date(organization: Organization, database: Database, clock: Callable[[], dt.datetime]) -> dt.date:
    now = clock()
    with database.connect() as connection:
        stored = organizations_table.find(connection, organization.name)
    with AdminApi(connection_settings(organization), now=clock) as api:
        if has_known_start(organization, stored, now.date()):
            return start_of(organization, stored, now.date())
        with lock.organization_lock(
            database, organization.name, purpose="onboarding", on_wait=_LOG.warning
        ) as connection:
            # Another process may have onboarded the organization while this process waited for the lock. In that case,
            # `register_and_probe` sends no request.
            register_and_probe(connection, api, organization, now)
            return start_of(organization, organizations_table.find(connection, organization.name), now.date())


def _record_failure(organization: Organization, database: Database, message: str, now: dt.datetime) -> None:
    with database.connect() as connection:
        register(connection, organization)
        organizations_table.record_failure(connection, organization.name, message, now, permanent=True)


def register(connection: Connection, organization: Organization) -> None:
    """Insert a configured organization into the database, or update its stored display name and start date."""
    organizations_table.register(
        connection,
        organization.name,
        display_name=organization.display_name,
        start_date=organization.start_date,
    )


def register_and_probe(
    connection: Connection, api: AdminApi, organization: Organization, now: dt.datetime
) -> str | None:
    """Register an organization. If its first day is not stored yet, request and store it.

    Returns the OpenAI organization id that every response must contain: the configured id, or else the id of earlier
    responses, or None if both are unknown. Raises an `ApiError` if the request fails.
    """
    register(connection, organization)
    stored = organizations_table.find(connection, organization.name)
    if not has_known_start(organization, stored, now.date()):
        organizations_table.record_onboarding(connection, organization.name, _first_served_day(api, now.date()), now)
    return organization.organization_id or (stored.openai_organization_id if stored else None)


def has_known_start(
    organization: Organization, stored: organizations_table.StoredOrganization | None, today: dt.date
) -> bool:
    """Return whether the first day of an organization's history is known without a request to OpenAI.

    This is so if the first day is stored, or if the configured start date is so recent that OpenAI serves it anyway.
    """
    if stored and stored.earliest_day:
        return True
    return bool(organization.start_date and organization.start_date >= today - _SURELY_SERVED)


def _first_served_day(api: AdminApi, today: dt.date) -> dt.date:
    """Return the first day that OpenAI serves. Sends one request for a day that is older than OpenAI serves.

    OpenAI's refusal of this request names the first served day. If a server serves the old day, or refuses it for
    another reason, the server is assumed to serve one year.
    """
    too_old = today - _SURELY_REFUSED
    try:
        for _ in read_costs(api, DayRange(too_old, too_old), UNGROUPED, OrganizationGuard(None)):
            pass
    except errors.LookbackExceeded as refusal:
        return refusal.earliest
    except (errors.GroupingRefused, errors.RequestRefused) as refusal:
        # A server refuses an invalid day with status 400. Another status, for example 404, means that the server's
        # address is wrong, and assuming one year of history would hide this error.
        if refusal.status != 400:
            raise
    return fallback_start(api.server_time().date())
