"""Names of projects, users and API keys: the present one, those before it, and who wants to be forgotten."""

from __future__ import annotations

import datetime as dt
import hashlib
import zlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

from openai_costs_dagster.warehouse.database import Connection
from openai_costs_dagster.warehouse.statements import statement

_COMPRESSION = 1


class Entry(NamedTuple):
    """What an id stands for; `kind` is project, user or api_key."""

    kind: str
    id: str
    name: str | None
    email: str | None = None
    project_id: str | None = None
    owner_id: str | None = None
    status: str | None = "active"


def keep(connection: Connection, organization: str, entries: Iterable[Entry], now: dt.datetime) -> None:
    """Keeps present names beside the earlier ones, and who owns what. Forgotten users stay without a name."""
    values = [{"organization": organization, "now": now, **entry._asdict()} for entry in entries]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(statement("note_entry"), values)
        cursor.executemany(statement("know_name"), [one for one in values if one["name"] or one["email"]])


def know_names(connection: Connection, organization: str, entries: Iterable[Entry], now: dt.datetime) -> None:
    """Keeps names that answers carried by the way."""
    values = [{"organization": organization, "now": now, **entry._asdict()} for entry in entries]
    with connection.cursor() as cursor:
        cursor.executemany(statement("know_name"), values)


def note_gone(
    connection: Connection, organization: str, kind: str, now: dt.datetime, *, project_id: str | None = None
) -> None:
    """Marks what a whole reading at `now` did not list any more; names stay."""
    values = {"organization": organization, "kind": kind, "now": now, "project_id": project_id}
    connection.execute(statement("note_gone"), values)


def forgotten(connection: Connection) -> set[str]:
    """The users whose name and address are kept no more."""
    return {user for (user,) in connection.execute(statement("forgotten_users"))}


def users_like(connection: Connection, user: str) -> list[str]:
    """The ids that an id or an address stands for; empty where nothing is known of it."""
    found = {one for (one,) in connection.execute(statement("users_like"), {"user": user})}
    row = connection.execute(statement("is_known_user"), {"user": user}).fetchone()
    return sorted(found | ({user} if row and row[0] else set()))


def forget(
    connection: Connection, user_id: str, cleaned: Callable[[bytes], bytes], now: dt.datetime
) -> tuple[int, int]:
    """Deletes a user's names and addresses, in all organizations, in one transaction; amounts stay.

    `cleaned` takes them out of the bytes of a raw bucket. Returns how many names went and how many buckets changed.
    """
    with connection.transaction():
        connection.execute(statement("note_forgotten"), {"user_id": user_id, "now": now})
        names = connection.execute(statement("forget_names"), {"user_id": user_id}).rowcount
        changed = 0
        with connection.cursor(name="bodies") as bodies:
            for raw_id, body in bodies.execute(statement("raw_bucket_bodies")):
                raw = zlib.decompress(body)
                rest = cleaned(raw)
                if rest != raw:
                    values = {
                        "raw_id": raw_id,
                        "digest": hashlib.sha256(rest).digest(),
                        "body": zlib.compress(rest, _COMPRESSION),
                    }
                    connection.execute(statement("replace_raw_body"), values)
                    changed += 1
    return names, changed
