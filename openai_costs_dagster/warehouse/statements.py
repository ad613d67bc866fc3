"""Reads the SQL files of the package `warehouse`. Parameters in SQL files have psycopg's named form, ``%(name)s``.

An SQL statement of one or two lines is a constant of the Python module that executes it. A longer statement is a file
in `queries/`.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from openai_costs_dagster.usage_records import COLUMNS, COUNTERS, FLAGS

_PACKAGE = resources.files("openai_costs_dagster.warehouse")


@cache
def statement(name: str) -> str:
    """Return the text of ``queries/<name>.sql``, for example ``costs/insert_rows``. Raises `FileNotFoundError`."""
    return _PACKAGE.joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


@cache
def views() -> tuple[str, ...]:
    """Return the `create or replace view` statement of each file in ``views/``, in the order of the file numbers.

    The order matters, because a view can only select from views that were created before.
    """
    texts = (file.read_text(encoding="utf-8") for file in _view_files())
    return tuple(text.replace("/*usage columns*/", _usage_columns()) for text in texts)


def view_names() -> tuple[str, ...]:
    """Return the names of the views in the order of the numbers of their files in ``views/``.

    The name of a view is its file name without the number and without ``.sql``.
    """
    return tuple(file.name.removesuffix(".sql").partition("_")[2] for file in _view_files())


def _view_files() -> list[Traversable]:
    files = sorted(_PACKAGE.joinpath("views").iterdir(), key=lambda file: file.name)
    return [file for file in files if file.name.endswith(".sql")]


def _usage_columns() -> str:
    """Return the SQL that selects the columns of `usage_records.COLUMNS` in the view `daily_usage`, in this order."""
    return ",\n    ".join(_usage_column(name) for name in COLUMNS)


def _usage_column(name: str) -> str:
    if name in COUNTERS:
        return f"(usage.counters ->> '{name}')::numeric as {name}"
    return f"(usage.groups ->> '{name}'){'::boolean' if name in FLAGS else ''} as {name}"
