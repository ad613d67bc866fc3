"""Stores names of projects, users and API keys, and the users whose names must not be stored."""

from __future__ import annotations

import datetime as dt
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from openai_costs_dagster.cost_records import MAX_KEY_LENGTH
from openai_costs_dagster.personal_data import Person
from openai_costs_dagster.records import DirectoryKind
from openai_costs_dagster.warehouse import errors
from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

_COMPRESSION = 1
_RAW_BUCKETS = "select raw_id, body from openai_costs.raw_buckets where organization = %(organization)s"
_REPLACE_RAW_BUCKET = """
update openai_costs.raw_buckets set digest = %(digest)s, body = %(body)s where raw_id = %(raw_id)s
"""
_FORGOTTEN_USERS = "select user_id from openai_costs.forgotten_users"


class Entry(NamedTuple):
    """A project, user or API key of an organization, as listed by OpenAI. `kind` is project, user or api_key.

    `project_id` and `owner_id` are the project and the owner of an API key, and None for projects and users.
    """

    kind: DirectoryKind
    id: str
    name: str | None
    email: str | None = None
    project_id: str | None = None
    owner_id: str | None = None
    status: str | None = "active"


def store_entries(connection: Connection, organization: str, entries: Iterable[Entry], now: dt.datetime) -> None:
    """Store projects, users or API keys with their current names, in one transaction.

    Earlier names stay stored. Names of users who were forgotten with `openai-costs forget-user` are not stored. Raises
    `ValueRefused` if PostgreSQL cannot store a value. In this case, nothing is changed.
    """
    values = [{"organization": organization, "now": now, **entry._asdict()} for entry in entries]
    try:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(statement("directory/upsert_entry"), values)
            cursor.executemany(
                statement("directory/upsert_name"), [entry for entry in values if entry["name"] or entry["email"]]
            )
    except errors.VALUE_ERRORS as error:
        raise errors.ValueRefused(f"PostgreSQL cannot store a value: {error}") from None


def store_names(connection: Connection, organization: str, entries: Iterable[Entry], now: dt.datetime) -> None:
    """Store names of projects and users that were found in responses with costs."""
    values = [{"organization": organization, "now": now, **entry._asdict()} for entry in entries]
    # Every transaction of a locked connection renews the lease, and its commit waits for the disk. Without names to
    # store, this wait is not necessary.
    if not values:
        return
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(statement("directory/upsert_name"), values)


def store_project_names(
    connection: Connection, organization: str, names: Mapping[str, str], observed_at: dt.datetime
) -> None:
    """Store the latest name of each project in the table `projects`, whose names the views show.

    Skips ids longer than `MAX_KEY_LENGTH`, because PostgreSQL limits the size of an index entry.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            statement("directory/upsert_project_name"),
            [
                {
                    "organization": organization,
                    "project_id": project_id,
                    "project_name": name,
                    "observed_at": observed_at,
                }
                for project_id, name in names.items()
                if len(project_id) <= MAX_KEY_LENGTH
            ],
        )


def mark_gone(
    connection: Connection, organization: str, kind: DirectoryKind, now: dt.datetime, *, project_id: str | None = None
) -> None:
    """Set the status of all entries of a kind that OpenAI no longer lists to ``gone``. Their names stay stored.

    `now` is the time of a synchronization that stored the complete list. With `project_id`, only entries of this
    project are changed.
    """
    values = {"organization": organization, "kind": kind, "now": now, "project_id": project_id}
    with connection.transaction():
        connection.execute(statement("directory/mark_gone"), values)


def forgotten_users(connection: Connection) -> set[str]:
    """Return the ids of users whose names and email addresses must not be stored, as `forget-user` recorded them."""
    return {user for (user,) in connection.execute(_FORGOTTEN_USERS)}


def find_users(connection: Connection, user: str) -> list[str]:
    """Return the ids of all users whose id or email address equals `user`. Empty if no user matches."""
    found = {user_id for (user_id,) in connection.execute(statement("directory/find_users"), {"user": user})}
    # A user whose name was never stored may still have costs, so the tables with costs are also searched for the id.
    row = connection.execute(statement("directory/has_rows_of_user"), {"user": user}).fetchone()
    return sorted(found | ({user} if row and row[0] else set()))


def record_forgotten_user(connection: Connection, user_id: str, now: dt.datetime) -> None:
    """Record a user as forgotten: from now on, no name and no email address of the user may be stored."""
    connection.execute(statement("directory/insert_forgotten_user"), {"user_id": user_id, "now": now})


def find_person(connection: Connection, user_id: str) -> Person:
    """Return the stored names and email addresses of a user in all organizations, to search for them in texts."""
    names: set[str] = set()
    own: set[str] = set()
    others: set[str] = set()
    for one, name, address in connection.execute(statement("directory/names_of_users")):
        # An email address of another user may look like an alias of this user's address. It must stay stored, so the
        # addresses of other users are collected as well.
        (own if one == user_id else others).update({address} - {None, ""})
        # A name of only one word may also be an ordinary word, which must not be removed from texts, so it is skipped.
        if one == user_id and name and len(name.split()) > 1:
            names.add(name)
    return Person(user_id, frozenset(own), frozenset(others - own), frozenset(names))


def edit_buckets(connection: Connection, organization: str, edit: Callable[[bytes], bytes]) -> int:
    """Replace each stored raw response of an organization by the result of `edit`, in one transaction.

    Returns the number of responses that have changed.
    """
    changed = 0
    with connection.transaction():
        for raw_id, raw in _buckets(connection, organization):
            rest = edit(raw)
            if rest != raw:
                replaced = {
                    "raw_id": raw_id,
                    "digest": hashlib.sha256(rest).digest(),
                    "body": zlib.compress(rest, _COMPRESSION),
                }
                connection.execute(_REPLACE_RAW_BUCKET, replaced)
                changed += 1
    return changed


def buckets_with(connection: Connection, organization: str, is_found: Callable[[bytes], bool]) -> int:
    """Return the number of stored raw responses of an organization for which `is_found` returns true."""
    with connection.transaction():
        return sum(is_found(raw) for _, raw in _buckets(connection, organization))


def delete_names(connection: Connection, organization: str, user_id: str, addresses: Iterable[str]) -> int:
    """Delete the names and email addresses of a user in one organization, and return the number of deleted names.

    Also removes the names from stored alerts, and deletes other names that contain one of the addresses.
    """
    values = {"organization": organization, "user_id": user_id, "addresses": sorted(addresses)}
    with connection.transaction():
        # The SQL statement that edits the alerts reads the stored names to find the texts to replace, so the names are
        # deleted only after it.
        connection.execute(statement("directory/delete_name_in_alerts"), values)
        return connection.execute(statement("directory/delete_names"), values).rowcount


def _buckets(connection: Connection, organization: str) -> Iterator[tuple[int, bytes]]:
    # A named cursor is a server-side cursor, which fetches rows in batches. All raw responses of an organization may
    # not fit into memory at once.
    with connection.cursor(name="bodies") as bodies:
        for raw_id, body in bodies.execute(_RAW_BUCKETS, {"organization": organization}):
            yield raw_id, zlib.decompress(body)
