"""Clears a person's name and address everywhere, also where a reader is just at work."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from openai_costs_dagster.privacy import without_users
from openai_costs_dagster.warehouse import directory, lock, registry
from openai_costs_dagster.warehouse.database import Database


class Forgotten(NamedTuple):
    """What went: names and addresses, and raw pages that held them."""

    names: int
    pages: int


def forget_user(database: Database, user_id: str, now: dt.datetime, on_wait: Callable[[str], None]) -> Forgotten:
    """Deletes a user's names and addresses in all organizations; amounts stay. Raises a WarehouseError.

    Noted first, so that no reader that begins from now on keeps any; then each organization is cleaned when its
    reader is done. Broken off in between it can be asked for again.
    """
    with database.connect() as connection:
        directory.note_forgotten(connection, user_id, now)
        organizations = [one.organization for one in registry.everyone(connection)]
    names = pages = 0
    for organization in organizations:
        with lock.reader(database, organization, purpose="forget-user", on_wait=on_wait) as connection:
            gone = directory.forget(connection, organization, user_id, partial(without_users, users=[user_id]))
        names, pages = names + gone[0], pages + gone[1]
    return Forgotten(names, pages)
