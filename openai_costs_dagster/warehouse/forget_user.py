"""Deletes the names and email addresses of one user from all tables, and then checks that none of them is left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import NamedTuple

from openai_costs_dagster.personal_data import (
    Person,
    forget,
    forget_in_free_text,
    free_text_mentions,
    mentions,
)
from openai_costs_dagster.warehouse import directory, errors, free_texts, lock
from openai_costs_dagster.warehouse import organizations as warehouse_organizations
from openai_costs_dagster.warehouse.database import Database

# A pass over the raw responses may find further email addresses of the user, which need another pass. The limit keeps
# the passes from going on without end; `verify` finds an address that is left.
_MOST_PASSES = 5


class Forgotten(NamedTuple):
    """The result of `forget_user`: the numbers of deleted names, of edited raw responses and of other edited texts."""

    names: int
    pages: int
    texts: int


def forget_user(database: Database, user_id: str, now: dt.datetime, on_wait: Callable[[str], None]) -> Forgotten:
    """Delete the names and email addresses of a user in all organizations. The user's costs stay stored.

    First records the user as forgotten, so that later synchronizations store no name of the user. Then edits the raw
    responses and other texts of each organization. Deletes the stored names last, because a repeated call after an
    interruption needs the names to search for. Raises `NotForgotten` if a name or an email address is still found at
    the end, or another `WarehouseError` if the database fails.
    """
    with database.connect() as connection:
        directory.record_forgotten_user(connection, user_id, now)
        organizations = [one.organization for one in warehouse_organizations.all_organizations(connection)]
        person = directory.find_person(connection, user_id)
    task = _Task(database, person, organizations, on_wait)
    pages = task.edit_pages()
    with database.connect() as connection:
        texts = free_texts.edit(
            connection, task.person.search_terms, lambda text: forget_in_free_text(text, task.person)
        )
    names = task.delete_names()
    task.verify()
    return Forgotten(names, pages, texts)


class _Task:
    """One call of `forget_user`, with the edits of all organizations.

    `person` holds the names and email addresses to remove. Email addresses found during the edits are added to it.
    """

    def __init__(
        self, database: Database, person: Person, organizations: list[str], on_wait: Callable[[str], None]
    ) -> None:
        self._database = database
        self._organizations = organizations
        self._on_wait = on_wait
        self.person = person

    def edit_pages(self) -> int:
        """Remove the user's names and addresses from the raw responses of all organizations.

        Returns the number of changed responses.
        """
        pages = 0
        for _ in range(_MOST_PASSES):
            before = self.person
            for organization in self._organizations:
                # Without the lock, a synchronization that started before the user was recorded as forgotten could store
                # the user's names again.
                with lock.organization_lock(
                    self._database, organization, purpose="forget-user", on_wait=self._on_wait
                ) as connection:
                    pages += directory.edit_buckets(connection, organization, self._edit)
            if self.person.addresses == before.addresses:
                break
        return pages

    def delete_names(self) -> int:
        """Delete the user's stored names in all organizations, and return the number of deleted names."""
        names = 0
        for organization in self._organizations:
            with lock.organization_lock(
                self._database, organization, purpose="forget-user", on_wait=self._on_wait
            ) as connection:
                names += directory.delete_names(connection, organization, self.person.user_id, self.person.addresses)
        return names

    def verify(self) -> None:
        """Search the stored responses and texts again.

        Raises `NotForgotten` if a name or an email address of the person is still stored.
        """
        with self._database.connect() as connection:
            pages = sum(directory.buckets_with(connection, one, self._remains) for one in self._organizations)
            columns = free_texts.columns_with(
                connection, self.person.search_terms, lambda text: free_text_mentions(text, self.person)
            )
        left = ([f"{pages} raw responses"] if pages else []) + columns
        if left:
            raise errors.NotForgotten(
                f"a name or an address of {self.person.user_id} is still stored in {', '.join(left)}: "
                "run forget-user again, and report it if that does not help"
            )

    def _edit(self, raw: bytes) -> bytes:
        # A raw response may contain bytes that are not valid UTF-8. With `surrogateescape`, decoding and encoding leave
        # these bytes unchanged.
        edited = forget(raw.decode("utf-8", "surrogateescape"), self.person)
        if edited.addresses - self.person.addresses:
            self.person = self.person.with_addresses(edited.addresses)
        return edited.text.encode("utf-8", "surrogateescape")

    def _remains(self, raw: bytes) -> bool:
        return mentions(raw.decode("utf-8", "surrogateescape"), self.person)
