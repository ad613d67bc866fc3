"""First contact before any run, so that partitions begin where they will stay."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable

from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.errors import ApiError
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.orchestration.partitions import start_of
from openai_costs_dagster.sync.onboarding import endpoint_of, enrol, is_met, register
from openai_costs_dagster.warehouse import lock
from openai_costs_dagster.warehouse import organizations as warehouse_organizations
from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.errors import WarehouseError

_LOG = logging.getLogger(__name__)


def meet(
    organizations: Iterable[Organization], database: Database, *, now: Callable[[], dt.datetime] = utc_now
) -> tuple[dict[str, dt.date], dict[str, str]]:
    """Where each organization's history begins, and for those that cannot be read, why, in a sentence.

    Costs a request the first time only. Raises DatabaseUnavailable and its kin for the database itself.
    """
    starts: dict[str, dt.date] = {}
    strangers: dict[str, str] = {}
    for organization in organizations:
        try:
            starts[organization.name] = _start(organization, database, now)
        except (ApiError, SecretUnavailable) as error:
            strangers[organization.name] = str(error)
            _note(organization, database, str(error), now())
        except WarehouseError as error:
            strangers[organization.name] = str(error)
    return starts, strangers


def _start(organization: Organization, database: Database, clock: Callable[[], dt.datetime]) -> dt.date:
    now = clock()
    with database.connect() as connection:
        known = warehouse_organizations.find(connection, organization.name)
    with AdminApi(endpoint_of(organization), now=clock) as api:
        if is_met(organization, known, now.date()):
            return start_of(organization, known, now.date())
        with lock.reader(database, organization.name, purpose="first contact", on_wait=_LOG.warning) as connection:
            enrol(connection, api, organization, now)
            return start_of(organization, warehouse_organizations.find(connection, organization.name), now.date())


def _note(organization: Organization, database: Database, sentence: str, now: dt.datetime) -> None:
    with database.connect() as connection:
        register(connection, organization)
        warehouse_organizations.record_failure(connection, organization.name, sentence, now, permanent=True)
