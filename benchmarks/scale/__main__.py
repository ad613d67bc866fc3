"""`python -m benchmarks.scale [dagster|postgres|morning …] [--write]`: measures scale and finds the bottlenecks."""

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
from benchmarks.scale.dagster_side import KEY
from benchmarks.scale.filling import Size, fill
from benchmarks.scale.morning import morning
from benchmarks.scale.questions import answers
from benchmarks.scale.report import Found, Place, Warehouse
from openai_costs_dagster.orchestration.sharding import ORGANIZATIONS_PER_SHARD, shards
from openai_costs_dagster.simulator import SimulatedOrganization, Simulator
from openai_costs_dagster.warehouse import embedded
from openai_costs_dagster.warehouse.database import Database

_DAYS = 400
_SIZE = "select pg_size_pretty(pg_relation_size(%s))"
_A_MONTH = dt.timedelta(days=30)
_MANY = 1_000
_PLACES = [
    *(Place(count, 1) for count in (1, ORGANIZATIONS_PER_SHARD, _MANY)),
    *(Place(_MANY, locations) for locations in (len(shards(_MANY)), 10)),
]


def main() -> None:
    """Measure, print the page, and replace docs/scale.md with `--write`."""
    asked = _arguments()
    kept = Path(asked.folder) if asked.folder else None
    with _server(kept) as url, psycopg.connect(url, autocommit=True) as connection:
        version = str(connection.execute("show server_version").fetchall()[0][0])
        size = Size(1_000, _DAYS, asked.rows // 1_000 // _DAYS)
        warehouse = _warehouse(connection, size) if "postgres" in asked.what else None
    with _server(None) as url:  # what was laid down is not to be read
        dagster = _dagster(url) if "dagster" in asked.what else []
    seen = morning(asked.organizations) if "morning" in asked.what else None
    page = report.page(Found(dagster, seen, warehouse, version))
    print(page)
    if asked.write:
        print(f"written: {report.write(page).name}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument(
        "what", nargs="*", default=["dagster", "postgres", "morning"], metavar="dagster|postgres|morning"
    )
    parser.add_argument("--rows", type=int, default=50_000_000, help="of 1,000 organizations and 400 days")
    parser.add_argument("--organizations", type=int, default=1_000, help="of the morning; they take most of an hour")
    parser.add_argument("--folder", help="keeps the server in this folder; a filled server is used again")
    parser.add_argument("--write", action="store_true", help="replace docs/scale.md")
    return parser.parse_args()


@contextmanager
def _server(kept: Path | None) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="openai-costs-scale-") as folder:
        place = kept or Path(folder)
        database = Database(embedded.start(place))
        try:
            database.prepare()
            yield database.url
        finally:
            embedded.stop(place)


def _dagster(url: str) -> list[tuple[Place, dict[str, dict[str, float]]]]:
    simulated = SimulatedOrganization(api_keys_from=None, users_with_projects_served=True)
    os.environ |= {KEY: simulated.admin_key, "SCALE_DATABASE_URL": url}
    with Simulator([simulated]) as simulator:
        return [
            (place, {what: _measured(what, place, url, simulator.base_url) for what in ("load", "tick", "run")})
            for place in _PLACES
        ]


def _measured(what: str, place: Place, url: str, base_url: str) -> dict[str, float]:
    part = min(2, place.parts)  # the first one has more than its organizations, and is one of many
    asked = [what, str(place.organizations), str(part), str(place.parts)]
    command = [sys.executable, "-m", "benchmarks.scale.dagster_side", *asked]
    output = subprocess.run([*command, url, base_url], check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    print(place, what, found, file=sys.stderr, flush=True)
    return found


def _warehouse(connection: psycopg.Connection, size: Size) -> Warehouse:
    seconds = None
    if not connection.execute("select from openai_costs.cost_rows limit 1").fetchall():
        begun = time.monotonic()
        connection.execute("alter system set fsync = off")
        connection.execute("alter system set max_wal_size = '8GB'")
        connection.execute("select pg_reload_conf()")
        fill(connection, size)
        seconds = time.monotonic() - begun
    since = dt.datetime.now(dt.UTC).date() - _A_MONTH
    sizes = {
        name: str(connection.execute(_SIZE, [f"openai_costs.{name}"]).fetchall()[0][0])
        for name in ("cost_rows", "cost_rows_by_day", "cost_rows_by_date")
    }
    return Warehouse(size, seconds, sizes, list(answers(connection, "org0500", since)))


if __name__ == "__main__":
    main()
