"""An organization whose rows a test states itself, served over HTTP by no simulator, and where its costs are stored."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.days import ONE_DAY, DayRange, unix_midnight
from openai_costs_dagster.monitoring.status import Overview, overviews
from openai_costs_dagster.sync.costs import CostsRequest, ingest_costs
from openai_costs_dagster.sync.outcome import Outcome
from openai_costs_dagster.warehouse.database import Database

from .bench import WIDE
from .conftest import Clock

Row = dict[str, Any]
_DIMENSIONS = ("project_id", "user_id", "line_item", "api_key_id")


def cost(amount: str, currency: str | None = "usd", **more: Any) -> Row:
    dimensions = {"project_id": "proj_a", "user_id": "user-a", "api_key_id": "key_a"}
    item = {"line_item": "gpt-5-mini-2025-08-07, output", "quantity": 1000, "quantity_unit": "tokens"}
    return {**dimensions, **item, "amount": amount, "currency": currency, **more}


class Costs:
    """The rows of each day, served by day and grouping."""

    def __init__(self) -> None:
        self.rows: Callable[[dt.date], list[Row]] = lambda _: []

    def bucket(self, day: dt.date, group_by: list[str]) -> dict[str, Any]:
        sums: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
        for row in self.rows(day):
            key = tuple(row[name] if name in group_by else None for name in _DIMENSIONS)
            place = (*key, row["currency"])
            sums[place] = WIDE.add(sums[place], Decimal(row["amount"]))
        results = [
            {
                "object": "organization.costs.result",
                "amount": {"value": str(amount), "currency": currency},
                **dict(zip(_DIMENSIONS, dimensions, strict=True)),
            }
            for (*dimensions, currency), amount in sums.items()
        ]
        start = unix_midnight(day)
        return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": results}


@contextmanager
def serving(costs: Costs) -> Iterator[str]:
    """The base URL of a server of these rows."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            first, end = (int(query[name][0]) // 86_400 for name in ("start_time", "end_time"))
            days = [dt.date(1970, 1, 1) + number * ONE_DAY for number in range(first, end)]
            data = [costs.bucket(day, query.get("group_by", [])) for day in days]
            body = json.dumps({"object": "page", "data": data, "has_more": False, "next_page": None}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Writes nothing to the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Place:
    organization: Organization
    database: Database
    clock: Clock
    configuration: Configuration

    @property
    def month(self) -> DayRange:
        return DayRange(self.clock.today.replace(day=1), self.clock.today)

    def read(self, days: DayRange) -> Outcome:
        outcome = ingest_costs(CostsRequest(self.organization, self.database, list(days), now=self.clock))
        assert outcome.failed == {}
        return outcome

    def overview(self) -> Overview:
        (found,) = overviews(self.configuration, self.database, self.clock.now)
        return found

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(query).fetchall()
