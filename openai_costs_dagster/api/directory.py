"""Reads the names of projects, users and API keys. Costs and usage contain only their ids.

These requests need the scope `api.management.read`. Without that scope, the ids are shown instead of names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi

PROJECTS_PATH = "/organization/projects"

_ENTRIES_PER_PAGE = 100
# Large organizations have 100,000 users. A server that always returns another page must not fill the memory.
_MAX_ENTRIES, _MAX_PAGES = 200_000, 5_000


class WireProject(msgspec.Struct):
    """A project. `archived_at` is in Unix seconds and None while the project is active."""

    id: str
    name: str | None = None
    status: str | None = None
    archived_at: int | None = None


class WireUser(msgspec.Struct):
    """A user who is a member of the organization."""

    id: str
    name: str | None = None
    email: str | None = None
    role: str | None = None


class WireOwner(msgspec.Struct):
    """The owner of an API key: a user or a service account."""

    type: str | None = None
    user: WireUser | None = None
    service_account: WireUser | None = None


class WireApiKey(msgspec.Struct):
    """An API key of a project. No response contains the key itself."""

    id: str
    name: str | None = None
    owner: WireOwner | None = None


class WireAdminKey(msgspec.Struct):
    """An admin key of the organization. Times are Unix seconds.

    `redacted_value` contains only the first and the last characters of the key, as in ``sk-admin...def``.
    """

    id: str
    redacted_value: str | None = None
    created_at: int | None = None
    expires_at: int | None = None


Entry = TypeVar("Entry", bound=msgspec.Struct)


def read_projects(api: AdminApi) -> Iterator[WireProject]:
    """Return all projects, including archived projects. Raises an `ApiError`."""
    return read_list(api, PROJECTS_PATH, [("include_archived", "true")], WireProject)


def read_users(api: AdminApi) -> Iterator[WireUser]:
    """Return all members of the organization. Raises an `ApiError`."""
    return read_list(api, "/organization/users", [], WireUser)


def read_api_keys(api: AdminApi, project_id: str) -> Iterator[WireApiKey]:
    """Return the API keys of a project. Raises an `ApiError`, also if the project is archived."""
    path = f"{PROJECTS_PATH}/{project_id}/api_keys"
    return read_list(api, path, [("owner_project_access", "any")], WireApiKey)


def read_admin_keys(api: AdminApi) -> Iterator[WireAdminKey]:
    """Return the admin keys of the organization. Raises an `ApiError`."""
    return read_list(api, "/organization/admin_api_keys", [], WireAdminKey)


def read_own_admin_key(api: AdminApi) -> WireAdminKey | None:
    """Return the listed admin key that `api` itself uses. Raises an `ApiError`.

    Return None if no listed key fits, or more than one: OpenAI lists keys by their first and last characters only.
    """
    own = [key for key in read_admin_keys(api) if api.is_own(key.redacted_value)]
    return own[0] if len(own) == 1 else None


def read_list(api: AdminApi, path: str, query: list[tuple[str, str]], kind: type[Entry]) -> Iterator[Entry]:
    """Yield all entries of a list, page by page. Raises an `ApiError`: ResponseTooLarge for a list without an end."""
    after: str | None = None
    used_cursors: set[str] = set()
    count = 0
    for _ in range(_MAX_PAGES):
        page_query = [("limit", str(_ENTRIES_PER_PAGE)), *query, *([("after", after)] if after else [])]
        page = api.get(path, page_query, _List)
        try:
            entries: list[Entry] = msgspec.convert(page.data, list[kind])  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            raise errors.UnexpectedSchema(f"{path}: {error}") from None
        count += len(entries)
        if count > _MAX_ENTRIES:
            raise errors.ResponseTooLarge(
                f"{path}: the list has more than {_MAX_ENTRIES:,} entries, the limit for one list"
            )
        yield from entries
        if not page.has_more or not entries:
            return
        after = page.last_id or str(page.data[-1].get("id"))
        if after in used_cursors:
            raise errors.IncompletePagination(f"{path}: the pages repeat after {after}")
        used_cursors.add(after)
    raise errors.ResponseTooLarge(f"{path}: the list has more than {_MAX_PAGES:,} pages, the limit for one list")


class _List(msgspec.Struct):
    data: list[dict[str, Any]]
    has_more: bool = False
    last_id: str | None = None
