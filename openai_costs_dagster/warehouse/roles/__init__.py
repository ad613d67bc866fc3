"""Roles of least privilege: the script that makes them, and what each may do with what this release has."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import resources

from openai_costs_dagster.warehouse.schema import metadata
from openai_costs_dagster.warehouse.statements import view_names

_ROOM = resources.files("openai_costs_dagster.warehouse.roles")


def script(*, by_organization: bool) -> str:
    """SQL for an administrator, in one transaction; `by_organization`: readers see the organizations named for them."""
    parts = ["begin;", _text("roles")]
    if by_organization:
        parts.append(_text("by_organization"))
    return "\n".join([*parts, grants(), "commit;"])


@cache
def grants() -> str:
    """SQL that gives the roles what they need of this release's tables and views, where there are such roles."""
    tables = (table.name for table in metadata.tables.values())
    return _text("grants").replace("/*tables*/", _quoted(tables)).replace("/*views*/", _quoted(view_names()))


def _text(name: str) -> str:
    return _ROOM.joinpath(f"{name}.sql").read_text(encoding="utf-8").strip()


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))
