"""Creates SQL scripts for database roles with minimal privileges: a script that creates the roles, and their grants."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

from psycopg import sql

from openai_costs_dagster.warehouse.schema import metadata
from openai_costs_dagster.warehouse.statements import view_names

_PACKAGE = resources.files("openai_costs_dagster.warehouse.roles")


def script(*, by_organization: bool, dedicated_database: bool = False) -> str:
    """Return the SQL script with which a database administrator creates the roles. The script is one transaction.

    With `by_organization`, readers see only the rows of the organizations that are granted to them. With
    `dedicated_database`, all roles except those of openai-costs lose the right to create temporary tables and large
    objects in the database.
    """
    parts = ["begin;", _text("roles")]
    if by_organization:
        parts.append(_text("by_organization"))
    if dedicated_database:
        parts.append(_text("dedicated_database"))
    return "\n".join([*parts, grants(), dagster_grants(), _text("limits"), "commit;"])


def reader_script(name: str, organizations: Sequence[str]) -> str:
    """Return the SQL script that creates the reader `name`, a database role that may only read the views.

    The script is one transaction. If the database restricts readers to organizations, the reader sees only the rows of
    `organizations`.
    """
    # The reader's name may contain the text of the placeholder of organizations. The name is therefore inserted last,
    # so that nothing in the name is replaced.
    text = _text("reader").replace("/*organizations*/", f"array[{', '.join(map(_literal, organizations))}]::text[]")
    text = text.replace("/*reader*/", _literal(name), 1)
    return "\n".join(["begin;", text, grants(), _text("limits"), "commit;"])


@cache
def grants() -> str:
    """Return SQL that grants privileges on the tables and views of this release to the roles of `script`.

    The SQL skips roles that do not exist in the database.
    """
    tables = (table.name for table in metadata.tables.values())
    return _text("grants").replace("/*tables*/", _quoted(tables)).replace("/*views*/", _quoted(view_names()))


def dagster_grants() -> str:
    """Return SQL that grants privileges on Dagster's tables to the roles of `script`.

    The SQL skips roles that do not exist in the database. `openai-costs prepare` runs this SQL each time, so the SQL
    must not wait for long transactions of readers: it locks no table or view that readers use.
    """
    return _text("dagster_grants")


def _text(name: str) -> str:
    return _PACKAGE.joinpath(f"{name}.sql").read_text(encoding="utf-8").strip()


def _literal(text: str) -> str:
    """Return a text as an SQL string literal that can stand in a script quoted by `$$`.

    Two dollar signs in a row would end the quoted script, so the literal never contains them.
    """
    # SQL joins two string literals that only a line break separates. Each dollar sign therefore ends one literal, and
    # the next literal starts on a new line.
    return sql.Literal(text).as_string().replace("$", "$'\n'")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names))
