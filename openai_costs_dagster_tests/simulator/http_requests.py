"""Helpers that request the simulator over HTTP, and compute the expected sums from its facts."""

import itertools
import json
import ssl
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal, Inexact
from typing import Any

import httpx2

from openai_costs_dagster.simulator import Fact, SimulatedOrganization, Simulator

NOW = datetime(2026, 3, 11, 14, 30, tzinfo=UTC)
TODAY = NOW.date()
COSTS = "/organization/costs"
USAGE = "/organization/usage/"
DIMENSIONS = ("project_id", "user_id", "line_item", "api_key_id", "api_source")
EVERY_GROUPING = [groups for size in range(len(DIMENSIONS) + 1) for groups in itertools.combinations(DIMENSIONS, size)]
_TLS = ssl.create_default_context()  # httpx creates a TLS context per client, which is slow, although no test uses TLS.
WIDE = Context(prec=400, traps=[Inexact])

Parameters = dict[str, Any]
Key = tuple[str | None, ...]


def seconds(day: date) -> int:
    """Return the Unix time at which a UTC day begins."""
    return int(datetime.combine(day, time(), UTC).timestamp())


def days_between(first: date, end: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((end - first).days)]


def window(first: date, end: date, **more: Any) -> Parameters:
    return {"start_time": seconds(first), "end_time": seconds(end), **more}


def get(
    simulator: Simulator,
    parameters: Parameters,
    *,
    key: str | None = None,
    path: str = COSTS,
    method: str = "GET",
) -> httpx2.Response:
    """Send one request. The default key is that of the first organization."""
    key = simulator.organizations[0].admin_key if key is None else key
    with httpx2.Client(trust_env=False, timeout=10, verify=_TLS) as client:
        return client.request(
            method,
            simulator.base_url + path,
            params=parameters,
            headers={"Authorization": f"Bearer {key}"} if key else {},
        )


def parsed(response: httpx2.Response) -> Any:
    """Return the JSON with decimal numbers as Decimal."""
    return json.loads(response.content, parse_float=Decimal)


def pages(simulator: Simulator, parameters: Parameters, path: str = COSTS) -> Iterator[Any]:
    """Yield all pages that contain data."""
    query = dict(parameters)
    while True:
        response = get(simulator, query, path=path)
        assert response.status_code == 200, response.text
        page = parsed(response)
        if not page["data"]:
            return
        yield page
        if not page["has_more"]:
            return
        query["page"] = page["next_page"]


def buckets(simulator: Simulator, parameters: Parameters, path: str = COSTS) -> list[Any]:
    return [bucket for page in pages(simulator, parameters, path) for bucket in page["data"]]


def rows(simulator: Simulator, parameters: Parameters, path: str = COSTS) -> list[Any]:
    return [row for bucket in buckets(simulator, parameters, path) for row in bucket["results"]]


def money(value: Any) -> Decimal:
    """Return an amount of a response as Decimal. Fails if the amount was decoded as a float."""
    assert isinstance(value, str | int | Decimal)
    return Decimal(value)


def total(amounts: Iterable[Decimal]) -> Decimal:
    result = Decimal(0)
    for amount in amounts:
        result = WIDE.add(result, amount)
    return result


def expected_sums(
    organization: SimulatedOrganization, days: Iterable[date], groups: Iterable[str]
) -> dict[Key, Decimal]:
    """Return the expected sums by (day, *groups), with the groups in the order of `DIMENSIONS`."""
    by = [name for name in DIMENSIONS if name in set(groups)]
    sums: dict[Key, Decimal] = {}
    for day in days:
        for fact in organization.facts(day):
            key = (day.isoformat(), *(getattr(fact, name) for name in by))
            sums[key] = WIDE.add(sums.get(key, Decimal(0)), fact.amount or Decimal(0))
    return sums


def spent(facts: Iterable[Fact]) -> Decimal:
    return total(fact.amount for fact in facts if fact.amount is not None)
