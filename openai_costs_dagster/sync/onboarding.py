"""Meeting an organization: who it is at OpenAI, and where its history begins (asked once, kept for ever)."""

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
_SURELY_REFUSED = dt.timedelta(days=400)


def connection_settings(organization: Organization) -> ConnectionSettings:
    """Where and how an organization is read."""
    return ConnectionSettings(organization.base_url, organization.admin_key.read, organization.read_proxy)


def register(connection: Connection, organization: Organization) -> None:
    """Makes an organization known, or brings what is configured about it up to date."""
    organizations_table.enrol(
        connection,
        organization.name,
        display_name=organization.display_name,
        start_date=organization.start_date,
    )


def register_and_probe(
    connection: Connection, api: AdminApi, organization: Organization, now: dt.datetime
) -> str | None:
    """Makes an organization known, finds its earliest day on first contact, returns the id that answers must carry.

    That is the configured one, else the one that answers carried before, else None. Raises an `ApiError`.
    """
    register(connection, organization)
    known = organizations_table.find(connection, organization.name)
    if not has_known_start(organization, known, now.date()):
        organizations_table.first_contact(connection, organization.name, _earliest_day(api, now.date()), now)
    return organization.organization_id or (known.openai_organization_id if known else None)


def has_known_start(organization: Organization, known: organizations_table.Registered | None, today: dt.date) -> bool:
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


def start_dates(
    organizations: Iterable[Organization], database: Database, *, now: Callable[[], dt.datetime] = utc_now
) -> tuple[dict[str, dt.date], dict[str, str]]:
    """Where each organization's history begins, and for those that cannot be read, why, in a sentence.

    Costs a request the first time only. Raises DatabaseUnavailable and its kin for the database itself.
    """
    starts: dict[str, dt.date] = {}
    unreachable: dict[str, str] = {}
    for organization in organizations:
        try:
            starts[organization.name] = _start(organization, database, now)
        except (ApiError, SecretUnavailable) as error:
            unreachable[organization.name] = str(error)
            _note(organization, database, str(error), now())
        except WarehouseError as error:
            unreachable[organization.name] = str(error)
    return starts, unreachable


def _start(organization: Organization, database: Database, clock: Callable[[], dt.datetime]) -> dt.date:
    now = clock()
    with database.connect() as connection:
        known = organizations_table.find(connection, organization.name)
    with AdminApi(connection_settings(organization), now=clock) as api:
        if has_known_start(organization, known, now.date()):
            return start_of(organization, known, now.date())
        with lock.reader(database, organization.name, purpose="first contact", on_wait=_LOG.warning) as connection:
            register_and_probe(connection, api, organization, now)
            return start_of(organization, organizations_table.find(connection, organization.name), now.date())


def _note(organization: Organization, database: Database, sentence: str, now: dt.datetime) -> None:
    with database.connect() as connection:
        register(connection, organization)
        organizations_table.record_failure(connection, organization.name, sentence, now, permanent=True)
