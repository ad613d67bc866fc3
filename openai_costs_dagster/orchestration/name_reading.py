"""Reads an organization's names into the warehouse, best effort: without the scope everything works and shows ids."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.directory import WireApiKey, read_api_keys, read_projects, read_users
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.orchestration.first_contact import endpoint_of
from openai_costs_dagster.privacy import is_address
from openai_costs_dagster.secret import SecretUnavailable
from openai_costs_dagster.warehouse import directory, lock, memory, usage
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.directory import Entry

_LOG = logging.getLogger(__name__)
_ARCHIVED = "archived"
_ABSENCE = "directory"
_ABSENT_FOR = dt.timedelta(days=7)


@dataclass
class Names:
    """What was read, by kind, and what could not be."""

    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_names(
    organization: Organization,
    database: Database,
    *,
    now: Callable[[], dt.datetime] = utc_now,
    log: logging.Logger = _LOG,
) -> Names:
    """Stores projects, users and project keys, as far as the key may read them. Raises a WarehouseError."""
    names = Names()
    database.prepare()
    try:
        with (
            AdminApi(endpoint_of(organization), now=now) as api,
            lock.reader(database, organization.name, purpose="names", on_wait=log.warning) as connection,
        ):
            _Reading(organization, connection, api, names, now()).run()
    except SecretUnavailable as error:
        names.notes.append(str(error))
    except errors.ApiError as error:
        names.notes.append(str(error))
    for note in names.notes:
        log.warning("%s: names could not be read: %s", organization.name, note)
    return names


class _Reading:
    def __init__(
        self, organization: Organization, connection: Connection, api: AdminApi, names: Names, now: dt.datetime
    ) -> None:
        self._organization = organization
        self._connection = connection
        self._api = api
        self._names = names
        self._now = now
        self._absent = False

    def run(self) -> None:
        known = {one.what: one for one in usage.absences(self._connection, self._organization.name)}.get(_ABSENCE)
        if known and self._now - known.seen_at < _ABSENT_FOR:
            self._names.notes.append(known.said)
            return
        projects = self._kind("project", self._projects)
        if self._absent:
            said = f"the server has no directory: {self._names.notes[-1]}"
            usage.note_absence(self._connection, self._organization.name, _ABSENCE, said, self._now)
            return
        usage.forget_absence(self._connection, self._organization.name, _ABSENCE)
        self._kind("user", self._users)
        for project in projects:
            if project.status != _ARCHIVED:
                self._kind("api_key", partial(self._keys, project.id), project_id=project.id)

    def _kind(self, kind: str, read: Callable[[], Iterable[Entry]], *, project_id: str | None = None) -> list[Entry]:
        """One whole reading; what it does not list any more is marked as gone, and keeps its name."""
        try:
            found = list(read())
        except (errors.PermissionDenied, errors.RequestRefused, errors.UnknownShape) as error:
            self._names.notes.append(f"{kind}: {error}")
            self._absent = isinstance(error, errors.NotServed)
            return []
        directory.keep(self._connection, self._organization.name, found, self._now)
        directory.note_gone(self._connection, self._organization.name, kind, self._now, project_id=project_id)
        self._names.counts[kind] = self._names.counts.get(kind, 0) + len(found)
        return found

    def _projects(self) -> list[Entry]:
        found = [Entry("project", one.id, one.name, status=one.status or "active") for one in read_projects(self._api)]
        named = {one.id: one.name for one in found if one.name}
        memory.name_projects(self._connection, self._organization.name, named, self._now)
        return found

    def _users(self) -> list[Entry]:
        return [
            Entry("user", one.id, self._kept(one.name), one.email if self._organization.emails else None)
            for one in read_users(self._api)
        ]

    def _keys(self, project_id: str) -> list[Entry]:
        return [
            Entry("api_key", one.id, self._kept(one.name), project_id=project_id, owner_id=_owner(one))
            for one in read_api_keys(self._api, project_id)
        ]

    def _kept(self, name: str | None) -> str | None:
        return None if is_address(name) and not self._organization.emails else name


def _owner(key: WireApiKey) -> str | None:
    if key.owner is None:
        return None
    owner = key.owner.user or key.owner.service_account
    return owner.id if owner else None
