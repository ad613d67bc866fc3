"""Writes the upgrade fixture of a release: the rows of a small database, and the totals of its views.

Run `python -m openai_costs_dagster_tests.upgrades.dump NAME` once for each release. The command writes two files:

- `NAME.json.gz`: the revision of the schema, a digest of each migration, and the rows of each table in COPY format
- `NAME.json`: row count and total of each view
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
_STORED_DAYS = 24  # The restated day of the sample data is within this number of days before today.
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
"""An SQL aggregate for each view whose rows do not depend on the current time."""


def view_totals(connection: Connection) -> dict[str, list[str]]:
    """Return the row count and the exact total of each view, as text."""
    totals = {}
    for view, total in _SUMS.items():
        query = f"select count(*), {total} from openai_costs.{view}"  # noqa: S608  # constants
        totals[view] = [str(value) for value in connection.execute(query).fetchall()[0]]
    return totals


def migrations() -> dict[str, str]:
    """Return the SHA-256 digest of each migration file, by file name."""
    folder = resources.files("openai_costs_dagster.warehouse.migrations").joinpath("versions")
    files = sorted((file for file in folder.iterdir() if file.name[0].isdigit()), key=lambda file: file.name)
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def main() -> None:
    """Create a database with sample data and write both fixture files into the folder of this module."""
    name = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="openai-costs-dump-") as folder:
        data, keys = Path(folder, "data"), Path(folder, "keys")
        keys.mkdir()
        database = Database(embedded.start(data))
        try:
            database.prepare()
            load(database, keys)
            with database.connect() as connection:
                _delete_days_before(connection, TODAY - _STORED_DAYS * ONE_DAY)
                totals = json.dumps(view_totals(connection), indent=1)
                dumped = json.dumps(_dumped(connection)).encode()
        finally:
            embedded.stop(data)
    (FOLDER / f"{name}.json").write_text(f"{totals}\n", encoding="utf-8")
    (FOLDER / f"{name}.json.gz").write_bytes(gzip.compress(dumped, mtime=0))


def _delete_days_before(connection: Connection, first: dt.date) -> None:
    for table, columns in _tables(connection).items():
        if "usage_date" in columns:
            connection.execute(f"delete from openai_costs.{table} where usage_date < %s", [first])  # noqa: S608


def _dumped(connection: Connection) -> dict[str, Any]:
    ((revision,),) = connection.execute("select version_num from openai_costs.alembic_version").fetchall()
    rows = {table: _copied(connection, table, columns) for table, columns in _tables(connection).items()}
    return {"revision": revision, "migrations": migrations(), "rows": rows}


def _tables(connection: Connection) -> dict[str, list[str]]:
    """Return the columns of each table in the order of their definition."""
    found = connection.execute(
        "select relname::text, array_agg(attname::text order by attnum)"
        " from pg_class join pg_attribute on attrelid = pg_class.oid"
        " where relnamespace = 'openai_costs'::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped"
        " and relname not in ('alembic_version', 'schema_metadata') group by relname order by relname"
    ).fetchall()
    return dict(found)


def _copied(connection: Connection, table: str, columns: list[str]) -> dict[str, Any]:
    with (
        connection.cursor() as cursor,
        cursor.copy(f"copy openai_costs.{table} ({', '.join(columns)}) to stdout") as copy,
    ):
        return {"columns": columns, "text": b"".join(bytes(block) for block in copy).decode()}


if __name__ == "__main__":
    main()
