"""`python -m benchmarks.scale [dagster|postgres|morning …] [--write]`: measures many organizations and large tables."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from benchmarks.scale import report
from benchmarks.scale.dagster_measurements import KEY
from benchmarks.scale.filling import Size, fill
from benchmarks.scale.morning import measure_morning
from benchmarks.scale.queries import time_queries
from benchmarks.scale.report import Measurements, Sharding, Warehouse
from openai_costs_dagster.orchestration.sharding import ORGANIZATIONS_PER_SHARD, shards
from openai_costs_dagster.simulator import SimulatedOrganization, Simulator
from openai_costs_dagster.warehouse import embedded
from openai_costs_dagster.warehouse.database import Database

_DAYS = 400
_SIZE = "select pg_size_pretty(pg_relation_size(%s))"
_MONTH = dt.timedelta(days=30)
_MANY = 1_000
_SHARDINGS = [
    *(Sharding(count, 1) for count in (1, ORGANIZATIONS_PER_SHARD, _MANY)),
    *(Sharding(_MANY, count) for count in (len(shards(_MANY)), 10)),
]


def main() -> None:
    """Measure, print the page, and replace docs/scale.md with `--write`."""
    arguments = _arguments()
    folder = Path(arguments.folder) if arguments.folder else None
    with _server(folder) as url, psycopg.connect(url, autocommit=True) as connection:
        version = str(connection.execute("show server_version").fetchall()[0][0])
        size = Size(1_000, _DAYS, arguments.rows // 1_000 // _DAYS)
        warehouse = _warehouse(connection, size) if "postgres" in arguments.parts else None
    # Runs use an empty database, so that the generated rows do not affect the measurements of Dagster.
    with _server(None) as url:
        dagster = _dagster(url) if "dagster" in arguments.parts else []
    morning = measure_morning(arguments.organizations) if "morning" in arguments.parts else None
    page = report.page(Measurements(dagster, morning, warehouse, version))
    print(page)
    if arguments.write:
        print(f"written: {report.write(page).name}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", default=["dagster", "postgres", "morning"], metavar="dagster|postgres|morning"
    )
    parser.add_argument("--rows", type=int, default=50_000_000, help="of 1,000 organizations and 400 days")
    parser.add_argument("--organizations", type=int, default=1_000, help="of the morning; they take most of an hour")
    parser.add_argument("--folder", help="keeps the server in this folder; a filled server is used again")
    parser.add_argument("--write", action="store_true", help="replace docs/scale.md")
    return parser.parse_args()


@contextmanager
def _server(folder: Path | None) -> Iterator[str]:
    """Start a prepared server in `folder`, or in a temporary folder that is deleted afterwards, and yield its URL."""
    with tempfile.TemporaryDirectory(prefix="openai-costs-scale-") as temporary:
        data = folder or Path(temporary)
        database = Database(embedded.start(data))
        try:
            database.prepare()
            yield database.url
        finally:
            embedded.stop(data)


def _dagster(url: str) -> list[tuple[Sharding, dict[str, dict[str, float]]]]:
    simulated = SimulatedOrganization(api_keys_from=None, users_with_projects_served=True)
    os.environ |= {KEY: simulated.admin_key, "SCALE_DATABASE_URL": url}
    with Simulator([simulated]) as simulator:
        return [
            (
                sharding,
                {
                    activity: _measure(activity, sharding, url, simulator.base_url)
                    for activity in ("load", "tick", "run")
                },
            )
            for sharding in _SHARDINGS
        ]


def _measure(activity: str, sharding: Sharding, url: str, base_url: str) -> dict[str, float]:
    # The first shard also has the shared assets, so the second shard is the typical one.
    shard = min(2, sharding.shards)
    arguments = [activity, str(sharding.organizations), str(shard), str(sharding.shards)]
    command = [sys.executable, "-m", "benchmarks.scale.dagster_measurements", *arguments]
    output = subprocess.run([*command, url, base_url], check=True, stdout=subprocess.PIPE, text=True).stdout
    measurements: dict[str, float] = json.loads(output.splitlines()[-1])
    print(sharding, activity, measurements, file=sys.stderr, flush=True)
    return measurements


def _warehouse(connection: psycopg.Connection, size: Size) -> Warehouse:
    seconds = None
    if not connection.execute("select from openai_costs.cost_rows limit 1").fetchall():
        started_at = time.monotonic()
        connection.execute("alter system set fsync = off")
        connection.execute("alter system set max_wal_size = '8GB'")
        connection.execute("select pg_reload_conf()")
        fill(connection, size)
        seconds = time.monotonic() - started_at
    since = dt.datetime.now(dt.UTC).date() - _MONTH
    sizes = {
        name: str(connection.execute(_SIZE, [f"openai_costs.{name}"]).fetchall()[0][0])
        for name in ("cost_rows", "cost_rows_by_day", "cost_rows_by_date")
    }
    return Warehouse(size, seconds, sizes, list(time_queries(connection, "org0500", since)))


if __name__ == "__main__":
    main()
