"""Finds the `.sql` files of this room. Parameters are psycopg's named ones: ``%(name)s``."""

from __future__ import annotations

from functools import cache
from importlib import resources

from openai_costs_dagster.usage_records import COLUMNS, COUNTERS, FLAGS

_ROOM = resources.files("openai_costs_dagster.warehouse")


@cache
def statement(name: str) -> str:
    """The text of ``queries/<name>.sql``. Raises FileNotFoundError."""
    return _ROOM.joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


@cache
def views() -> tuple[str, ...]:
    """The ``views/*.sql`` in the order of their numbers, each one `create or replace view`."""
    files = sorted(_ROOM.joinpath("views").iterdir(), key=lambda file: file.name)
    texts = (file.read_text(encoding="utf-8") for file in files if file.name.endswith(".sql"))
    return tuple(text.replace("/*usage columns*/", _usage_columns()) for text in texts)


def _usage_columns() -> str:
    """A column for each group and counter that the usage endpoints are described with."""
    return ",\n    ".join(_usage_column(name) for name in COLUMNS)


def _usage_column(name: str) -> str:
    if name in COUNTERS:
        return f"(usage.counters ->> '{name}')::numeric as {name}"
    return f"(usage.groups ->> '{name}'){'::boolean' if name in FLAGS else ''} as {name}"
