"""Generates the facts of a day from workloads, with random numbers that depend only on the seed and the day.

The facts of a day never depend on the order of calls, on the process, or on Python's hash seed.
"""

import hashlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from openai_costs_dagster.simulator.facts import EXACT, Fact, to_places

DAYS_PER_YEAR = 365
UNLABELED = "unlabeled"
AGENTS_API = "agents_api"

# The factor of each weekday from Monday on. The factors from Monday to Friday are relative to an average working day,
# and the factors of Saturday and Sunday are relative to the weekend share of a workload.
_WEEK = (0.98, 1.04, 1.06, 1.02, 0.90, 1.0, 0.9)
_FIRST_WEEKEND_DAY = 5

# The standard deviations of the daily noise on a log scale: one for the whole organization, and one for each workload.
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
        """The display name, which is derived from the email address."""
        return self.email.partition("@")[0].title()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key of a project. The key of a service account has no user."""

    id: str
    user: User | None = None

    @property
    def name(self) -> str:
        """The display name, which is derived from the id: "lumen ada" for ``key_simulated_lumen_ada``."""
        return self.id.removeprefix("key_simulated_").replace("_", " ")


@dataclass(frozen=True, slots=True)
class Meter:
    """A line item that a workload consumes.

    `price` is in US dollars per unit. `share` is the number of units per unit of the workload's volume. `idle` is the
    probability of a day without units, which is billed as a row of zero. If `counted` is false, the costs contain no
    quantity, and only usage contains it.
    """

    line_item: str | None
    price: Decimal
    share: float = 1.0
    unit: str | None = "tokens"
    idle: float = 0.0
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Workload:
    """The regular consumption of one API key in one project.

    `volume` is the number of units, such as tokens or calls, on a working day at the start of the organization.
    `weekend` is the share of this volume on a Saturday. `chance` is the probability that a day has any consumption.
    `agents` is the share that is consumed through the Agents API, which costs show only if they are grouped by
    api_source. `begins` is the number of days until the workload starts.
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
    """Return the facts of a UTC day, on which the organization is `age` days old.

    The volume grows each year by the share `growth` of the initial volume.
    """
    generator = _random_generator(seed, day)
    level = (1 + growth * age / DAYS_PER_YEAR) * _WEEK[day.weekday()] * generator.lognormvariate(0, _SHARED_NOISE)
    return tuple(
        fact for work in workloads if age >= work.begins for fact in _facts_of_work(work, day, level, generator)
    )


def _random_generator(seed: int, day: date) -> random.Random:
    # The built-in `hash` of a string differs between processes. A single sequence of random numbers for all days would
    # make a day depend on the order of calls.
    digest = hashlib.sha256(f"{seed}/{day.isoformat()}".encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))  # noqa: S311  # The numbers are test data and not secret.


def _facts_of_work(work: Workload, day: date, level: float, generator: random.Random) -> Iterator[Fact]:
    if day.weekday() >= _FIRST_WEEKEND_DAY:
        level *= work.weekend
    active = generator.random() < work.chance
    volume = work.volume * level * generator.lognormvariate(0, _OWN_NOISE)
    if not active or volume < 1:
        return
    requests = max(1, round(volume / work.units_per_request))
    for meter in work.meters:
        idle = generator.random() < meter.idle
        units = 0 if idle else max(1, round(volume * meter.share * generator.lognormvariate(0, _OWN_NOISE / 2)))
        by_agents = int(units * work.agents)
        requests_by_agents = int(requests * work.agents)
        if by_agents:
            yield _fact(work, meter, day, AGENTS_API, by_agents, requests_by_agents)
        yield _fact(work, meter, day, UNLABELED, units - by_agents, requests - requests_by_agents)
        # Only the first line item of a workload carries the requests, because they would otherwise count several times.
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
