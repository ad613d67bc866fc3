"""Database roles with minimal privileges: the script that creates the roles, and their grants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

from psycopg import sql

from openai_costs_dagster.warehouse.schema import metadata
from openai_costs_dagster.warehouse.statements import view_names

_PACKAGE = resources.files("openai_costs_dagster.warehouse.roles")


def script(*, by_organization: bool, dedicated_database: bool = False) -> str:
    """Return the SQL script for an administrator, one transaction.

    With `by_organization`, readers see only the organizations that are granted to them. With `dedicated_database`, all
    other roles lose the right to create temporary tables and large objects in the database.
    """
    parts = ["begin;", _text("roles")]
    if by_organization:
        parts.append(_text("by_organization"))
    if dedicated_database:
        parts.append(_text("dedicated_database"))
    return "\n".join([*parts, grants(), dagster_grants(), _text("limits"), "commit;"])


def reader_script(name: str, organizations: Sequence[str]) -> str:
    """Return the SQL script that creates a reader, one transaction.

    `organizations` are the names whose rows the reader sees, if readers are restricted to their organizations.
    """
    # The name is inserted last, because a name may contain the text of the other placeholder.
    text = _text("reader").replace("/*organizations*/", f"array[{', '.join(map(_literal, organizations))}]::text[]")
    text = text.replace("/*reader*/", _literal(name), 1)
    return "\n".join(["begin;", text, grants(), _text("limits"), "commit;"])


@cache
def grants() -> str:
    """Return SQL that grants the roles, if they exist, their privileges on the tables and views of this release."""
    tables = (table.name for table in metadata.tables.values())
    return _text("grants").replace("/*tables*/", _quoted(tables)).replace("/*views*/", _quoted(view_names()))


def dagster_grants() -> str:
    """Return SQL that grants the roles, if they exist, their privileges on Dagster's tables.

    Unlike `grants`, it runs with every `prepare`. It locks no table or view that readers use, so that an open
    transaction of a reader cannot block it.
    """
    return _text("dagster_grants")


def _text(name: str) -> str:
    return _PACKAGE.joinpath(f"{name}.sql").read_text(encoding="utf-8").strip()


def _literal(text: str) -> str:
    """Return a string literal for a script between `$$`, which two dollar signs in the text would end."""
    # SQL joins literals that are separated by a line break.
    return sql.Literal(text).as_string().replace("$", "$'\n'")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))
