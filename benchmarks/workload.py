"""What is loaded: organizations, days and rows like those the Admin API sends, the same in every run."""

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
DAYS_PER_PAGE = 180  # the most that the API serves
STAGES = ("first", "again")
"""The first load, and the same days read again with some of them restated."""

_RESTATED_DAY_IN, _RESTATED_BY = 10, Decimal("0.01")
_LATEST_DAYS = 3  # may not be settled, and what changes in them is no restatement
_SIGNIFICANT_DIGITS = 34
_MODELS = ("gpt-5", "gpt-5-mini", "gpt-4.1-2025-04-14", "o4-mini", "text-embedding-3-large", "gpt-image-1")
_KINDS = ("input", "cached input", "output", "cache writes")


@dataclass(frozen=True)
class Workload:
    """How much there is. Days are UTC; the last one should be over, for today is loaded differently."""

    organizations: int
    days: int
    rows: int
    first: dt.date

    @property
    def last(self) -> dt.date:
        """The last day, inclusive."""
        return self.first + (self.days - 1) * ONE_DAY

    @property
    def names(self) -> list[str]:
        """The organizations' names."""
        return [f"org-{number:02}" for number in range(self.organizations)]

    @property
    def rows_in_all(self) -> int:
        """What everyone has to store."""
        return self.organizations * self.days * self.rows

    @property
    def restatements(self) -> int:
        """How many rows are another amount when they are read again."""
        return self.organizations * len(_restated(self))


def admin_key(organization: str) -> str:
    """The key that the server knows an organization by."""
    return f"sk-admin-{organization}"


def organization_id(organization: str) -> str:
    """The organization's id at the API."""
    return f"org-benchmark{organization.removeprefix('org-')}"


def unix(day: dt.date) -> int:
    """A day's first second."""
    return int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp())


@dataclass(frozen=True)
class Order:
    """What a contender is told: whom to read, where from and where to."""

    address: str
    """Where the server listens; a stage has its own base URL below it."""
    database: str
    organizations: list[str]
    first: str
    last: str
    folder: str
    """Where a contender may leave files."""

    def base_url(self, stage: str) -> str:
        """What takes the place of ``https://api.openai.com/v1``."""
        return f"{self.address}/{stage}/v1"

    def query(self) -> list[tuple[str, str]]:
        """One chain over all days, in as much detail as there is."""
        return [
            ("start_time", str(unix(dt.date.fromisoformat(self.first)))),
            ("end_time", str(unix(dt.date.fromisoformat(self.last) + ONE_DAY))),
            ("bucket_width", "1d"),
            ("limit", str(DAYS_PER_PAGE)),
            *(("group_by", dimension) for dimension in GROUPING),
        ]

    def to_json(self) -> str:
        """For a command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Order:
        """The inverse of `to_json`."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class RenderedDay:
    """A day's bucket as the API would send it, grouped and ungrouped, and what it adds up to."""

    grouped: bytes
    ungrouped: bytes
    amount: Decimal


def days(workload: Workload, organization: str) -> Iterator[dict[str, RenderedDay]]:
    """Every day of an organization, in order, by stage."""
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
    """As JSON: two zeros and three numbers among a hundred, strings of 34 digits for the rest, most of them padded."""
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
