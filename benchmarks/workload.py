"""The workload: generated organizations, days and rows in the format of the Admin API, the same in every run."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from decimal import Context, Decimal

ONE_DAY = dt.timedelta(days=1)
EXACT = Context(prec=16_000)
GROUPING = ("api_key_id", "line_item", "project_id", "user_id")
DAYS_PER_PAGE = 180  # The largest page size of the API.
STAGES = ("first", "again")
"""The stages: the first load, and a second load of the same days with some restated amounts."""

_RESTATED_DAY_IN, _RESTATED_BY = 10, Decimal("0.01")
_LATEST_DAYS = 3  # Changes of these days are not restatements, because the days may be provisional.
_SIGNIFICANT_DIGITS = 34
_MODELS = ("gpt-5", "gpt-5-mini", "gpt-4.1-2025-04-14", "o4-mini", "text-embedding-3-large", "gpt-image-1")
_KINDS = ("input", "cached input", "output", "cache writes")


@dataclass(frozen=True)
class Workload:
    """The size of the workload. Days are UTC and complete, because the current day is loaded differently."""

    organizations: int
    days: int
    rows: int
    first: dt.date

    @property
    def last(self) -> dt.date:
        """The last day, included."""
        return self.first + (self.days - 1) * ONE_DAY

    @property
    def names(self) -> list[str]:
        """The names of the organizations."""
        return [f"org-{number:02}" for number in range(self.organizations)]

    @property
    def total_rows(self) -> int:
        """The number of rows that every contender stores."""
        return self.organizations * self.days * self.rows

    @property
    def restatements(self) -> int:
        """The number of rows whose amount differs in the second load."""
        return self.organizations * len(_restated(self))


def admin_key(organization: str) -> str:
    """Return the admin key of an organization."""
    return f"sk-admin-{organization}"


def organization_id(organization: str) -> str:
    """Return the API id of an organization."""
    return f"org-benchmark{organization.removeprefix('org-')}"


def unix(day: dt.date) -> int:
    """Return the Unix time of the start of a UTC day."""
    return int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp())


@dataclass(frozen=True)
class Order:
    """The task of a contender: organizations, days, API server and database."""

    address: str
    """The address of the API server, which serves each stage under its own base URL."""
    database: str
    organizations: list[str]
    first: str
    last: str
    folder: str
    """The folder for files of the contender."""

    def base_url(self, stage: str) -> str:
        """Return the base URL of a stage, in place of ``https://api.openai.com/v1``."""
        return f"{self.address}/{stage}/v1"

    def query(self) -> list[tuple[str, str]]:
        """Return the query parameters of all days with the finest grouping."""
        return [
            ("start_time", str(unix(dt.date.fromisoformat(self.first)))),
            ("end_time", str(unix(dt.date.fromisoformat(self.last) + ONE_DAY))),
            ("bucket_width", "1d"),
            ("limit", str(DAYS_PER_PAGE)),
            *(("group_by", dimension) for dimension in GROUPING),
        ]

    def to_json(self) -> str:
        """Return the order as JSON for a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Order:
        """Return the order from the result of `to_json`."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class RenderedDay:
    """The rendered bucket of a day, grouped and ungrouped, and its total amount."""

    grouped: bytes
    ungrouped: bytes
    amount: Decimal


def days(workload: Workload, organization: str) -> Iterator[dict[str, RenderedDay]]:
    """Yield the days of an organization in order, by stage."""
    for number in range(workload.days):
        day = workload.first + number * ONE_DAY
        rows = _rows(random.Random(f"{organization} {number}"), organization, workload.rows)  # noqa: S311
        first = _rendered(organization, day, rows)
        if number not in _restated(workload):
            yield dict.fromkeys(STAGES, first)
        else:
            dimensions, amount = rows[0]
            rows[0] = dimensions, json.dumps(_padded(EXACT.add(_value(amount), _RESTATED_BY)))
            yield {"first": first, "again": _rendered(organization, day, rows)}


def _restated(workload: Workload) -> range:
    return range(0, workload.days - _LATEST_DAYS, _RESTATED_DAY_IN)


def _rows(chance: random.Random, organization: str, count: int) -> list[tuple[dict[str, str | None], str]]:
    keys = set[tuple[int, int, int, int]]()
    while len(keys) < count:
        keys.add((chance.randrange(5), chance.randrange(12), chance.randrange(24), chance.randrange(8)))
    return [(_dimensions(organization, *key), _amount(chance, place)) for place, key in enumerate(sorted(keys))]


def _dimensions(organization: str, project: int, user: int, line_item: int, api_key: int) -> dict[str, str | None]:
    return {
        "project_id": f"proj_{organization}{project:016}",
        "project_name": f"Project {project}",
        "user_id": f"user-{organization}{user:018}",
        "user_email": f"someone.{user}@example.com",
        "line_item": f"{_MODELS[line_item // 4]}, {_KINDS[line_item % 4]}",
        "api_key_id": f"key_{organization}{api_key:012}" if api_key else None,
    }


def _amount(chance: random.Random, place: int) -> str:
    """Return an amount as JSON.

    Of 100 amounts, two are zero, three are numbers, and the others are strings of 34 digits, most of them padded.
    """
    if place % 50 == 7:
        return '"0E-6176"'
    if place % 33 == 5:
        return repr(chance.uniform(0.01, 50))
    digits = _SIGNIFICANT_DIGITS if place % 4 == 0 else chance.randrange(6, 17)
    whole = Decimal(chance.randrange(10 ** (digits - 1), 10**digits))
    return json.dumps(_padded(whole.scaleb(chance.randrange(3) - digits, EXACT)))


def _padded(amount: Decimal) -> str:
    missing = _SIGNIFICANT_DIGITS - len(amount.as_tuple().digits)
    return f"{amount:f}" + "0" * max(missing, 0)


def _value(amount: str) -> Decimal:
    return Decimal(amount.strip('"'))


def _rendered(organization: str, day: dt.date, rows: list[tuple[dict[str, str | None], str]]) -> RenderedDay:
    total = Decimal(0)
    for _, amount in rows:
        total = EXACT.add(total, _value(amount))
    total = total.normalize(EXACT)
    everything = dict.fromkeys(("project_id", "project_name", "user_id", "user_email", "line_item", "api_key_id"))
    return RenderedDay(
        _bucket(
            day, [_row(organization, dimensions, amount, number) for number, (dimensions, amount) in enumerate(rows)]
        ),
        _bucket(day, [_row(organization, everything, f'"{total:f}"', None)]),
        total,
    )


def _row(organization: str, dimensions: dict[str, str | None], amount: str, number: int | None) -> str:
    others = {
        "quantity_unit": None if number is None else "tokens",
        **dimensions,
        "organization_id": organization_id(organization),
        "organization_name": organization,
    }
    quantity = "null" if number is None else f"{1_000 + 37 * number}.0"
    return (
        f'{{"object": "organization.costs.result", "amount": {{"value": {amount}, "currency": "usd"}}, '
        f'"quantity": {quantity}, {json.dumps(others)[1:]}'
    )


def _bucket(day: dt.date, rows: list[str]) -> bytes:
    return (
        f'{{"object": "bucket", "start_time": {unix(day)}, "end_time": {unix(day + ONE_DAY)}, '
        f'"start_time_iso": "{day}T00:00:00", "end_time_iso": "{day + ONE_DAY}T00:00:00", '
        f'"results": [{", ".join(rows)}]}}'
    ).encode()
