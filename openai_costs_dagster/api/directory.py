"""Reads who and what the ids of costs and usage stand for: projects, users, API keys of projects.

Needs a second scope (`api.management.read`); without it everything else works and shows ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi

PROJECTS_PATH = "/organization/projects"

_ENTRIES_PER_PAGE = 100


class WireProject(msgspec.Struct):
    """A project; `archived_at` in Unix seconds, null while it is active."""

    id: str
    name: str | None = None
    status: str | None = None
    archived_at: int | None = None


class WireUser(msgspec.Struct):
    """A member of the organization."""

    id: str
    name: str | None = None
    email: str | None = None
    role: str | None = None


class WireOwner(msgspec.Struct):
    """Who owns a key: a user or a service account."""

    type: str | None = None
    user: WireUser | None = None
    service_account: WireUser | None = None


class WireApiKey(msgspec.Struct):
    """An API key of a project; the key itself is never in an answer."""

    id: str
    name: str | None = None
    owner: WireOwner | None = None


class WireAdminKey(msgspec.Struct):
    """An admin key of the organization; times in Unix seconds. `redacted_value` shows its beginning and end."""

    id: str
    redacted_value: str | None = None
    created_at: int | None = None
    expires_at: int | None = None


Entry = TypeVar("Entry", bound=msgspec.Struct)


def read_projects(api: AdminApi) -> Iterator[WireProject]:
    """All projects, archived ones too. Raises an `ApiError`."""
    return read_list(api, PROJECTS_PATH, [("include_archived", "true")], WireProject)


def read_users(api: AdminApi) -> Iterator[WireUser]:
    """All members. Raises an `ApiError`."""
    return read_list(api, "/organization/users", [], WireUser)


def read_api_keys(api: AdminApi, project_id: str) -> Iterator[WireApiKey]:
    """A project's keys; refused for archived projects. Raises an `ApiError`."""
    path = f"{PROJECTS_PATH}/{project_id}/api_keys"
    return read_list(api, path, [("owner_project_access", "any")], WireApiKey)


def read_admin_keys(api: AdminApi) -> Iterator[WireAdminKey]:
    """The organization's admin keys. Raises an `ApiError`."""
    return read_list(api, "/organization/admin_api_keys", [], WireAdminKey)


def read_own_admin_key(api: AdminApi) -> WireAdminKey | None:
    """Return the listed admin key that `api` itself uses. Raises an `ApiError`.

    Return None if no listed key fits, or more than one: OpenAI lists keys by their first and last characters only.
    """
    own = [key for key in read_admin_keys(api) if api.is_own(key.redacted_value)]
    return own[0] if len(own) == 1 else None


def read_list(api: AdminApi, path: str, query: list[tuple[str, str]], kind: type[Entry]) -> Iterator[Entry]:
    """All entries of a list, page by page. Raises an `ApiError`."""
    after: str | None = None
    seen: set[str] = set()
    while True:
        asked = [("limit", str(_ENTRIES_PER_PAGE)), *query, *([("after", after)] if after else [])]
        page = api.get(path, asked, _List)
        try:
            entries: list[Entry] = msgspec.convert(page.data, list[kind])  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            raise errors.UnexpectedSchema(f"{path}: {error}") from None
        yield from entries
        if not page.has_more or not entries:
            return
        after = page.last_id or str(page.data[-1].get("id"))
        if after in seen:
            raise errors.IncompletePagination(f"{path}: the pages repeat themselves after {after}")
        seen.add(after)


class _List(msgspec.Struct):
    data: list[dict[str, Any]]
    has_more: bool = False
    last_id: str | None = None
