"""Finds the `.sql` files of this room. Parameters are psycopg's named ones: ``%(name)s``."""

from __future__ import annotations

from functools import cache
from importlib import resources

_ROOM = resources.files("openai_costs_dagster.warehouse")


@cache
def statement(name: str) -> str:
    """The text of ``queries/<name>.sql``. Raises FileNotFoundError."""
    return _ROOM.joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


@cache
def views() -> tuple[str, ...]:
    """The ``views/*.sql`` in the order of their numbers, each one `create or replace view`."""
    files = sorted(_ROOM.joinpath("views").iterdir(), key=lambda file: file.name)
    return tuple(file.read_text(encoding="utf-8") for file in files if file.name.endswith(".sql"))
