"""Database roles with minimal privileges: the script that creates the roles, and their grants."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources

from openai_costs_dagster.warehouse.schema import metadata
from openai_costs_dagster.warehouse.statements import view_names

_PACKAGE = resources.files("openai_costs_dagster.warehouse.roles")


def script(*, by_organization: bool) -> str:
    """Return the SQL script for an administrator, one transaction.

    With `by_organization`, readers see only the organizations that are granted to them.
    """
    parts = ["begin;", _text("roles")]
    if by_organization:
        parts.append(_text("by_organization"))
    return "\n".join([*parts, grants(), "commit;"])


@cache
def grants() -> str:
    """Return SQL that grants the roles, if they exist, their privileges on the tables and views of this release."""
    tables = (table.name for table in metadata.tables.values())
    return _text("grants").replace("/*tables*/", _quoted(tables)).replace("/*views*/", _quoted(view_names()))


def _text(name: str) -> str:
    return _PACKAGE.joinpath(f"{name}.sql").read_text(encoding="utf-8").strip()


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))
