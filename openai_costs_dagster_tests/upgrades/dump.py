"""Keeps a small database with something of everything as a release stored it, and what must hold of it for ever.

`python -m openai_costs_dagster_tests.upgrades.dump NAME`, once for each release, writes `NAME.json.gz` (the revision of
the schema, the migrations that led to it, each table's rows as COPY writes them) and `NAME.json` (what views answered).
"""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.warehouse import embedded
from openai_costs_dagster.warehouse.database import Connection, Database

from ..contract.sample import TODAY, load

FOLDER = Path(__file__).resolve().parent
_KEPT = 24  # days: the restated one is among them
_SUMS = {
    "daily_costs": "sum(amount)",
    "allocated_costs": "sum(amount)",
    "cost_revisions": "sum(new_amount - old_amount)",
    "anomalies": "sum(impact)",
    "daily_usage": "sum(num_model_requests)",
    "focus": 'sum("BilledCost")',
    "alerts": "count(distinct title)",
    "directory": "count(distinct id)",
    "budget_status": "sum(spent)",
}
"""Of each view whose answer does not depend on the time, what has to stay."""


def answers(connection: Connection) -> dict[str, list[str]]:
    """Of each view how many rows it has, and its sum to the last digit."""
    found = {}
    for view, total in _SUMS.items():
        query = f"select count(*), {total} from openai_costs.{view}"  # noqa: S608  # our own words
        found[view] = [str(one) for one in connection.execute(query).fetchall()[0]]
    return found


def migrations() -> dict[str, str]:
    """A digest of each migration: one that a release had may not change any more."""
    folder = resources.files("openai_costs_dagster.warehouse.migrations").joinpath("versions")
    files = sorted((file for file in folder.iterdir() if file.name[0].isdigit()), key=lambda file: file.name)
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def main() -> None:
    """Writes both files beside this one."""
    name = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="openai-costs-dump-") as folder:
        data, keys = Path(folder, "data"), Path(folder, "keys")
        keys.mkdir()
        database = Database(embedded.start(data))
        try:
            database.prepare()
            load(database, keys)
            with database.connect() as connection:
                _keep_the_last(connection, TODAY - _KEPT * ONE_DAY)
                said = json.dumps(answers(connection), indent=1)
                dumped = json.dumps(_dumped(connection)).encode()
        finally:
            embedded.stop(data)
    (FOLDER / f"{name}.json").write_text(f"{said}\n", encoding="utf-8")
    (FOLDER / f"{name}.json.gz").write_bytes(gzip.compress(dumped, mtime=0))


def _keep_the_last(connection: Connection, first: dt.date) -> None:
    for table, columns in _tables(connection).items():
        if "usage_date" in columns:
            connection.execute(f"delete from openai_costs.{table} where usage_date < %s", [first])  # noqa: S608


def _dumped(connection: Connection) -> dict[str, Any]:
    ((revision,),) = connection.execute("select version_num from openai_costs.alembic_version").fetchall()
    rows = {table: _copied(connection, table, columns) for table, columns in _tables(connection).items()}
    return {"revision": revision, "migrations": migrations(), "rows": rows}


def _tables(connection: Connection) -> dict[str, list[str]]:
    """The columns of each table, in their order."""
    found = connection.execute(
        "select relname::text, array_agg(attname::text order by attnum)"
        " from pg_class join pg_attribute on attrelid = pg_class.oid"
        " where relnamespace = 'openai_costs'::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped"
        " and relname not in ('alembic_version', 'program') group by relname order by relname"
    ).fetchall()
    return dict(found)


def _copied(connection: Connection, table: str, columns: list[str]) -> dict[str, Any]:
    with (
        connection.cursor() as cursor,
        cursor.copy(f"copy openai_costs.{table} ({', '.join(columns)}) to stdout") as copy,
    ):
        return {"columns": columns, "text": b"".join(bytes(part) for part in copy).decode()}


if __name__ == "__main__":
    main()
