"""How a day comes about: workloads of projects and keys, rolled with dice of the seed and the day.

A day's facts must never depend on the order of calls, on the process or on Python's hash seed.
"""

import hashlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from openai_costs_dagster.simulator.facts import EXACT, Fact, to_places

DAYS_OF_A_YEAR = 365
UNLABELED = "unlabeled"
AGENTS_API = "agents_api"

# Monday to Friday against an ordinary weekday, then Saturday and Sunday against a workload's own weekend.
_WEEK = (0.98, 1.04, 1.06, 1.02, 0.90, 1.0, 0.9)
_FIRST_WEEKEND_DAY = 5

# How far a day wanders from what its weekday suggests: the organization as a whole, and each workload.
_SHARED_NOISE = 0.04
_OWN_NOISE = 0.07


@dataclass(frozen=True, slots=True)
class Project:
    """A project of an organization."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class User:
    """A member of an organization."""

    id: str
    email: str

    @property
    def name(self) -> str:
        """What the address calls them."""
        return self.email.partition("@")[0].title()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key of a project; a service account's key has no user."""

    id: str
    user: User | None = None

    @property
    def name(self) -> str:
        """What the identifier calls it: "lumen ada" for key_simulated_lumen_ada."""
        return self.id.removeprefix("key_simulated_").replace("_", " ")


@dataclass(frozen=True, slots=True)
class Meter:
    """One line item that a workload is billed by.

    `price` is US dollars per unit. `share` is how many units a unit of the workload's volume makes. `idle` is
    the chance of a day with none, which is billed as a row of zero. Without `counted` the bill tells no
    quantity, and only usage does.
    """

    line_item: str | None
    price: Decimal
    share: float = 1.0
    unit: str | None = "tokens"
    idle: float = 0.0
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Workload:
    """What one key of one project does: `volume` units (tokens, calls …) on a weekday of the first day.

    `weekend` is the share of that done on a Saturday, `chance` the chance that a day sees any, `agents` the
    share that came through the Agents API, which the bill hides unless asked, and `begins` the days until it
    starts.
    """

    meters: tuple[Meter, ...]
    volume: float
    operation: str
    model: str | None = None
    project: Project | None = None
    key: ApiKey | None = None
    weekend: float = 0.35
    chance: float = 1.0
    agents: float = 0.0
    begins: int = 0
    units_per_request: int = 2_000


def facts_of_day(workloads: Iterable[Workload], *, seed: int, day: date, age: int, growth: float) -> tuple[Fact, ...]:
    """A UTC day of an organization that is `age` days old and grows by `growth` of its start a year."""
    dice = _dice(seed, day)
    level = (1 + growth * age / DAYS_OF_A_YEAR) * _WEEK[day.weekday()] * dice.lognormvariate(0, _SHARED_NOISE)
    return tuple(fact for work in workloads if age >= work.begins for fact in _facts_of_work(work, day, level, dice))


def _dice(seed: int, day: date) -> random.Random:
    digest = hashlib.sha256(f"{seed}/{day.isoformat()}".encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))  # noqa: S311  # a believable past, not a secret


def _facts_of_work(work: Workload, day: date, level: float, dice: random.Random) -> Iterator[Fact]:
    if day.weekday() >= _FIRST_WEEKEND_DAY:
        level *= work.weekend
    active = dice.random() < work.chance
    volume = work.volume * level * dice.lognormvariate(0, _OWN_NOISE)
    if not active or volume < 1:
        return
    requests = max(1, round(volume / work.units_per_request))
    for meter in work.meters:
        idle = dice.random() < meter.idle
        units = 0 if idle else max(1, round(volume * meter.share * dice.lognormvariate(0, _OWN_NOISE / 2)))
        by_agents = int(units * work.agents)
        requests_by_agents = int(requests * work.agents)
        if by_agents:
            yield _fact(work, meter, day, AGENTS_API, by_agents, requests_by_agents)
        yield _fact(work, meter, day, UNLABELED, units - by_agents, requests - requests_by_agents)
        requests = 0


def _fact(work: Workload, meter: Meter, day: date, source: str, units: int, requests: int) -> Fact:
    user = work.key.user if work.key else None
    return Fact(
        day=day,
        project_id=work.project.id if work.project else None,
        project_name=work.project.name if work.project else None,
        user_id=user.id if user else None,
        user_email=user.email if user else None,
        api_key_id=work.key.id if work.key else None,
        line_item=meter.line_item,
        api_source=source,
        currency="usd",
        amount=to_places(EXACT.multiply(meter.price, Decimal(units))),
        quantity=Decimal(units) if meter.counted else None,
        quantity_unit=meter.unit if meter.counted else None,
        model=work.model,
        operation=work.operation,
        requests=requests,
        unbilled_quantity=None if meter.counted else Decimal(units),
    )
