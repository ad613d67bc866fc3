"""Finds the `.sql` files of this room. Parameters are psycopg's named ones: ``%(name)s``."""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from openai_costs_dagster.usage_records import COLUMNS, COUNTERS, FLAGS

_ROOM = resources.files("openai_costs_dagster.warehouse")


@cache
def statement(name: str) -> str:
    """The text of ``queries/<name>.sql``. Raises FileNotFoundError."""
    return _ROOM.joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


@cache
def views() -> tuple[str, ...]:
    """The ``views/*.sql`` in the order of their numbers, each one `create or replace view`."""
    texts = (file.read_text(encoding="utf-8") for file in _view_files())
    return tuple(text.replace("/*usage columns*/", _usage_columns()) for text in texts)


def view_names() -> tuple[str, ...]:
    """What the views are called, in the same order: a file's name without its number."""
    return tuple(file.name.removesuffix(".sql").partition("_")[2] for file in _view_files())


def _view_files() -> list[Traversable]:
    files = sorted(_ROOM.joinpath("views").iterdir(), key=lambda file: file.name)
    return [file for file in files if file.name.endswith(".sql")]


def _usage_columns() -> str:
    """A column for each group and counter that the usage endpoints are described with."""
    return ",\n    ".join(_usage_column(name) for name in COLUMNS)


def _usage_column(name: str) -> str:
    if name in COUNTERS:
        return f"(usage.counters ->> '{name}')::numeric as {name}"
    return f"(usage.groups ->> '{name}'){'::boolean' if name in FLAGS else ''} as {name}"
