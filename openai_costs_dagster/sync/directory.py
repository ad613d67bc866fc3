"""Synchronizes the names of an organization's projects, users and API keys from the OpenAI Admin API into Postgres.

Costs contain only ids, so reports need the names. Reading names needs an admin key with the scope
`api.management.read`. Without this scope, reports show ids instead of names, and everything else works as before. The
same run checks the age and expiry of the admin key (`key_alerts.py`). It also reads the spend limits that are set at
OpenAI, if the organization is configured to use these limits as budgets.
"""

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
from openai_costs_dagster.records import DirectoryKind
from openai_costs_dagster.sync import key_alerts
from openai_costs_dagster.sync.key_identity import verify_identity
from openai_costs_dagster.sync.missing_endpoints import MissingEndpoints
from openai_costs_dagster.sync.onboarding import connection_settings, register
from openai_costs_dagster.warehouse import budgets, directory, lock
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.directory import Entry
from openai_costs_dagster.warehouse.errors import ValueRefused

_LOG = logging.getLogger(__name__)
_IDENTITY_WINDOW = dt.timedelta(days=60)
"""The period before now whose costs are requested to verify that the admin key belongs to the organization."""
_ARCHIVED = "archived"
_UNREADABLE = (errors.PermissionDenied, errors.RequestRefused, errors.UnexpectedSchema, errors.ResponseTooLarge)
"""The errors that make one list unreadable (projects, users or API keys). The other lists are still read."""


@dataclass
class DirectoryOutcome:
    """The result of `sync_directory`.

    `counts` is the number of stored projects, users and API keys by kind. `notes` has one message for each list that
    could not be read.
    """

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
    """Store the names of an organization's projects, users and API keys that its admin key may read.

    With `may_alert`, the function also checks the age and expiry of the admin key and records alerts about them. Errors
    of the API and of the admin key are not raised; the outcome lists them as notes. Raises a `WarehouseError` if the
    database fails.
    """
    outcome = DirectoryOutcome()
    database.prepare()
    try:
        with (
            AdminApi(connection_settings(organization), now=now) as api,
            lock.organization_lock(database, organization.name, purpose="names", on_wait=log.warning) as connection,
        ):
            register(connection, organization)
            _DirectorySync(organization, connection, api, outcome, now(), may_alert=may_alert).run()
    except (SecretUnavailable, errors.ApiError) as error:
        outcome.notes.append(str(error))
    for note in outcome.notes:
        log.warning("%s: names could not be read: %s", organization.name, note)
    return outcome


class _DirectorySync:
    """The part of a run of `sync_directory` during which the run holds the organization's lock."""

    def __init__(
        self,
        organization: Organization,
        connection: Connection,
        api: AdminApi,
        outcome: DirectoryOutcome,
        now: dt.datetime,
        *,
        may_alert: bool,
    ) -> None:
        self._may_alert = may_alert
        self._organization = organization
        self._connection = connection
        self._api = api
        self._outcome = outcome
        self._now = now
        # Whether the server lacked the endpoint of the latest list. A server without the list of projects has no
        # directory.
        self._is_missing = False
        self._forgotten_emails: set[str] = set()

    def run(self) -> None:
        missing = MissingEndpoints(self._connection, self._organization, self._now)
        if PROJECTS_PATH in missing.known():
            self._outcome.notes.append(missing.known()[PROJECTS_PATH])
            return
        recent = DayRange((self._now - _IDENTITY_WINDOW).date(), self._now.date())
        # Responses with names contain no organization id. Without this check, a wrong admin key would store the names
        # of another organization.
        verify_identity(self._connection, self._api, self._organization, recent, self._now)
        projects = self._store_kind("project", self._fetch_projects)
        if self._is_missing:
            # A server without the list of projects has no lists of users and API keys either, so these are not
            # requested.
            missing.record(PROJECTS_PATH, f"the server has no directory: {self._outcome.notes[-1]}")
            return
        missing.forget(PROJECTS_PATH)
        # The name of an API key may contain the email address of a forgotten user. The users are therefore read first,
        # because `_fetch_users` collects the email addresses of forgotten users.
        self._store_kind("user", self._fetch_users)
        if self._may_alert:
            self._check_admin_key()
        if self._organization.openai_budgets:
            self._store_spend_limits()
        for project in projects:
            if project.status != _ARCHIVED:  # OpenAI refuses to list the API keys of an archived project.
                self._store_kind("api_key", partial(self._fetch_api_keys, project.id), project_id=project.id)

    def _store_kind(
        self, kind: DirectoryKind, fetch: Callable[[], Iterable[Entry]], *, project_id: str | None = None
    ) -> list[Entry]:
        """Fetch and store all projects, all users or all API keys, and return them. Returns an empty list on failure.

        Stored entries that are missing from the fetched list are marked as deleted.
        """
        try:
            entries = list(fetch())
            directory.store_entries(self._connection, self._organization.name, entries, self._now)
        # Names are optional. If the admin key may not read one list, the stored entries of this list stay unchanged and
        # the other lists are still read.
        except (*_UNREADABLE, ValueRefused) as error:
            self._outcome.notes.append(f"{kind}: {error}")
            self._is_missing = isinstance(error, errors.EndpointNotFound)
            return []
        # Only a complete list shows which entries were deleted. A list of API keys is complete for one project, so only
        # API keys of this project are marked as deleted.
        directory.mark_gone(self._connection, self._organization.name, kind, self._now, project_id=project_id)
        self._outcome.counts[kind] = self._outcome.counts.get(kind, 0) + len(entries)
        return entries

    def _check_admin_key(self) -> None:
        try:
            own_key = read_own_admin_key(self._api)
        except _UNREADABLE as error:
            self._outcome.notes.append(f"admin key: {error}")
            return
        if own_key:
            key_alerts.record_alerts(self._connection, self._organization, own_key, self._now)

    def _store_spend_limits(self) -> None:
        """Store the spend limit and the spend alerts that are set at OpenAI.

        If OpenAI does not return them, the stored limits and alerts stay unchanged.
        """
        try:
            limits = read_spend_limits(self._api)
        except _UNREADABLE as error:
            self._outcome.notes.append(f"spend limits: {error}")
            return
        self._outcome.notes += limits.ignored
        budgets.store_openai_budgets(self._connection, self._organization.name, limits.in_usd, self._now)

    def _fetch_projects(self) -> list[Entry]:
        entries = [
            Entry("project", project.id, self._scrub(project.name), status=project.status or "active")
            for project in read_projects(self._api)
        ]
        names = {entry.id: entry.name for entry in entries if entry.name}
        directory.store_project_names(self._connection, self._organization.name, names, self._now)
        return entries

    def _fetch_users(self) -> list[Entry]:
        users = list(read_users(self._api))
        forgotten = directory.forgotten_users(self._connection)
        # The database holds no email address of a forgotten user. The email addresses that must be removed from other
        # names therefore come from the list that OpenAI just returned.
        self._forgotten_emails = {user.email.lower() for user in users if user.email and user.id in forgotten}
        return [
            Entry("user", user.id, self._scrub(user.name), user.email if self._organization.store_emails else None)
            for user in users
        ]

    def _fetch_api_keys(self, project_id: str) -> list[Entry]:
        return [
            Entry("api_key", key.id, self._scrub(key.name), project_id=project_id, owner_id=_owner_id(key))
            for key in read_api_keys(self._api, project_id)
        ]

    def _scrub(self, name: str | None) -> str | None:
        """Return a name from which email addresses are removed, unless the organization stores email addresses.

        Returns None if the name contains the email address of a forgotten user.
        """
        if name and any(email in name.lower() for email in self._forgotten_emails):
            return None
        return scrub_name(name, emails=self._organization.store_emails)


def _owner_id(key: WireApiKey) -> str | None:
    if key.owner is None:
        return None
    owner = key.owner.user or key.owner.service_account
    return owner.id if owner else None
