"""Reads an organization's names into the warehouse, best effort: without the scope everything works and shows ids."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.directory import (
    PROJECTS_PATH,
    WireApiKey,
    read_api_keys,
    read_own_admin_key,
    read_projects,
    read_users,
)
from openai_costs_dagster.api.spend_limits import read_spend_limits
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.days import DayRange, utc_now
from openai_costs_dagster.privacy import scrub_name
from openai_costs_dagster.sync import key_alerts
from openai_costs_dagster.sync.key_identity import verify_identity
from openai_costs_dagster.sync.missing_endpoints import MissingEndpoints
from openai_costs_dagster.sync.onboarding import connection_settings, register
from openai_costs_dagster.warehouse import budgets, directory, lock
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.directory import Entry
from openai_costs_dagster.warehouse.errors import ValueRefused

_LOG = logging.getLogger(__name__)
_LATELY = dt.timedelta(days=60)
_ARCHIVED = "archived"


@dataclass
class DirectoryOutcome:
    """What was read, by kind, and what could not be."""

    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def sync_directory(
    organization: Organization,
    database: Database,
    *,
    now: Callable[[], dt.datetime] = utc_now,
    may_alert: bool = True,
    log: logging.Logger = _LOG,
) -> DirectoryOutcome:
    """Stores projects, users and project keys, as far as the key may read them. Raises a WarehouseError.

    `may_alert` says whether news of the key itself is looked for.
    """
    names = DirectoryOutcome()
    database.prepare()
    try:
        with (
            AdminApi(connection_settings(organization), now=now) as api,
            lock.reader(database, organization.name, purpose="names", on_wait=log.warning) as connection,
        ):
            register(connection, organization)
            _Reading(organization, connection, api, names, now(), may_alert=may_alert).run()
    except SecretUnavailable as error:
        names.notes.append(str(error))
    except errors.ApiError as error:
        names.notes.append(str(error))
    for note in names.notes:
        log.warning("%s: names could not be read: %s", organization.name, note)
    return names


class _Reading:
    def __init__(
        self,
        organization: Organization,
        connection: Connection,
        api: AdminApi,
        names: DirectoryOutcome,
        now: dt.datetime,
        *,
        may_alert: bool,
    ) -> None:
        self._may_alert = may_alert
        self._organization = organization
        self._connection = connection
        self._api = api
        self._names = names
        self._now = now
        self._absent = False
        self._unwanted: set[str] = set()  # addresses of people who want to be forgotten

    def run(self) -> None:
        missing = MissingEndpoints(self._connection, self._organization, self._now)
        if PROJECTS_PATH in missing.known():
            self._names.notes.append(missing.known()[PROJECTS_PATH])
            return
        lately = DayRange((self._now - _LATELY).date(), self._now.date())
        verify_identity(self._connection, self._api, self._organization, lately, self._now)
        projects = self._kind("project", self._projects)
        if self._absent:
            said = f"the server has no directory: {self._names.notes[-1]}"
            missing.record(PROJECTS_PATH, said)
            return
        missing.forget(PROJECTS_PATH)
        self._kind("user", self._users)
        if self._may_alert:
            self._own_key()
        if self._organization.openai_budgets:
            self._limits()
        for project in projects:
            if project.status != _ARCHIVED:
                self._kind("api_key", partial(self._keys, project.id), project_id=project.id)

    def _kind(self, kind: str, read: Callable[[], Iterable[Entry]], *, project_id: str | None = None) -> list[Entry]:
        """One whole reading; what it does not list any more is marked as gone, and keeps its name."""
        try:
            found = list(read())
            directory.keep(self._connection, self._organization.name, found, self._now)
        except (errors.PermissionDenied, errors.RequestRefused, errors.UnexpectedSchema, ValueRefused) as error:
            self._names.notes.append(f"{kind}: {error}")
            self._absent = isinstance(error, errors.EndpointNotFound)
            return []
        directory.note_gone(self._connection, self._organization.name, kind, self._now, project_id=project_id)
        self._names.counts[kind] = self._names.counts.get(kind, 0) + len(found)
        return found

    def _limits(self) -> None:
        """OpenAI's own spend limit and alerts; what is known of them stays where they cannot be read."""
        try:
            found = read_spend_limits(self._api)
        except (errors.PermissionDenied, errors.RequestRefused, errors.UnexpectedSchema) as error:
            self._names.notes.append(f"spend limits: {error}")
            return
        self._names.notes += found.ignored
        budgets.keep_openais(self._connection, self._organization.name, found.in_usd, self._now)

    def _own_key(self) -> None:
        """The health of the key itself, where it may be read."""
        try:
            own_key = read_own_admin_key(self._api)
        except (errors.PermissionDenied, errors.RequestRefused, errors.UnexpectedSchema) as error:
            self._names.notes.append(f"admin key: {error}")
            return
        if own_key:
            key_alerts.record_alerts(self._connection, self._organization.name, own_key, self._now)

    def _projects(self) -> list[Entry]:
        found = [
            Entry("project", one.id, self._kept(one.name), status=one.status or "active")
            for one in read_projects(self._api)
        ]
        named = {one.id: one.name for one in found if one.name}
        directory.name_projects(self._connection, self._organization.name, named, self._now)
        return found

    def _users(self) -> list[Entry]:
        found = list(read_users(self._api))
        forgotten = directory.forgotten(self._connection)
        self._unwanted = {one.email.lower() for one in found if one.email and one.id in forgotten}
        return [
            Entry("user", one.id, self._kept(one.name), one.email if self._organization.store_emails else None)
            for one in found
        ]

    def _keys(self, project_id: str) -> list[Entry]:
        return [
            Entry("api_key", one.id, self._kept(one.name), project_id=project_id, owner_id=_owner(one))
            for one in read_api_keys(self._api, project_id)
        ]

    def _kept(self, name: str | None) -> str | None:
        if name and any(address in name.lower() for address in self._unwanted):
            return None
        return scrub_name(name, emails=self._organization.store_emails)


def _owner(key: WireApiKey) -> str | None:
    if key.owner is None:
        return None
    owner = key.owner.user or key.owner.service_account
    return owner.id if owner else None
