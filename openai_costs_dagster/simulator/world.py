"""What happened: organizations, their days, and the changes that a test or the demo makes to them.

This is the truth that every answer is rendered from; it must never know how an answer looks.
"""

import threading
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from openai_costs_dagster.simulator.companies import LAB, SHOP, STARTUP
from openai_costs_dagster.simulator.facts import Fact
from openai_costs_dagster.simulator.workloads import ApiKey, Project, User, Workload, facts_of_day

Change = Callable[[tuple[Fact, ...]], tuple[Fact, ...]]

USAGE_SCOPE = "api.usage.read"
MANAGEMENT_SCOPE = "api.management.read"

# The live API refuses api_key_id for windows that start before this day.
API_KEYS_SINCE = date(2025, 12, 6)


@dataclass(eq=False, kw_only=True)
class SimulatedOrganization:
    """An organization whose every UTC day follows from its seed, with what its API serves and refuses.

    `growth` is by how much of its first day's spend it grows in a year. `api_keys_from` is the first day that
    a window grouped by api_key_id may start on (None: any) and `api_keys_served` whether there is such a day
    at all; `users_with_projects_from` and `users_with_projects_served` say the same of user_id together with
    project_id. `lookback_days` is how far before today a window may start. What is served may be set at any
    time; the past is settled by `workloads`, `seed`, `first_day` and `growth` when its days are first asked
    for, and changed only through the methods, which are safe to call while a simulator serves.
    """

    workloads: tuple[Workload, ...] = SHOP
    organization_id: str = "org-SIMULATEDACME"
    name: str = "Acme (simulated)"
    admin_key: str = field(default="sk-admin-simulated-acme", repr=False)
    seed: int = 1
    first_day: date = date(2025, 1, 1)
    growth: float = 0.4
    api_keys_from: date | None = API_KEYS_SINCE
    api_keys_served: bool = True
    users_with_projects_from: date | None = None
    users_with_projects_served: bool = False
    lookback_days: int = 365
    scopes: Set[str] = frozenset({USAGE_SCOPE, MANAGEMENT_SCOPE})
    key_revoked: bool = False
    revision: int = field(default=0, init=False)
    _changes: dict[date, list[Change]] = field(default_factory=dict, init=False, repr=False)
    _known: dict[date, tuple[Fact, ...]] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    @property
    def projects(self) -> tuple[Project, ...]:
        """The projects, each once, in the order of their first workload."""
        return tuple(dict.fromkeys(work.project for work in self.workloads if work.project))

    @property
    def api_keys(self) -> tuple[ApiKey, ...]:
        """The API keys, each once."""
        return tuple(dict.fromkeys(work.key for work in self.workloads if work.key))

    @property
    def users(self) -> tuple[User, ...]:
        """The owners of the API keys, each once."""
        return tuple(dict.fromkeys(key.user for key in self.api_keys if key.user))

    def facts(self, day: date) -> tuple[Fact, ...]:
        """Everything that is known of a whole UTC day, all changes made; nothing before `first_day`."""
        with self._lock:
            if day not in self._known:
                facts = self._generated(day)
                for change in self._changes.get(day, ()):
                    facts = change(facts)
                self._known[day] = facts
            return self._known[day]

    def facts_by(self, day: date, now: datetime) -> tuple[Fact, ...]:
        """What of a UTC day has happened by `now`, an aware time: part of today, nothing of later days.

        The part is told to four decimals, rounded down; at 0 there are no facts.
        """
        today = now.astimezone(UTC).date()
        if day != today:
            return self.facts(day) if day < today else ()
        elapsed = now - datetime.combine(today, time(), UTC)
        part = Decimal(elapsed * 10_000 // timedelta(days=1)).scaleb(-4)
        return tuple(fact.scaled(part) for fact in self.facts(day)) if part else ()

    def plant_anomaly(
        self,
        day: date,
        factor: Decimal | float,
        project_id: str | None = None,
        model: str | None = None,
    ) -> None:
        """Multiply amounts and quantities of a day, of one project or model if told.

        Raises ValueError where nothing matches.
        """
        multiplier = Decimal(str(factor))

        def matches(fact: Fact) -> bool:
            return (project_id is None or fact.project_id == project_id) and (model is None or fact.model == model)

        def planted(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
            return tuple(fact.scaled(multiplier) if matches(fact) else fact for fact in facts)

        with self._lock:
            if not any(matches(fact) for fact in self.facts(day)):
                raise ValueError(f"no fact of {day} has project {project_id!r} and model {model!r}")
            self.restate(day, planted)

    def restate(self, day: date, function: Change) -> None:
        """Put other facts in the place of a day's, on top of every change made before."""
        with self._lock:
            self._changes.setdefault(day, []).append(function)
            self._known.pop(day, None)
            self.revision += 1

    def empty(self, day: date) -> None:
        """Make a day a quiet one."""
        self.restate(day, lambda _: ())

    def revoke_key(self) -> None:
        """Answer the admin key with 401 from now on."""
        with self._lock:
            self.key_revoked = True

    def rotate_key(self, new: str) -> None:
        """Put a new, working admin key in the place of the old one."""
        with self._lock:
            self.admin_key = new
            self.key_revoked = False

    def accepts(self, key: str) -> bool:
        """Whether the key opens this organization now."""
        with self._lock:
            return not self.key_revoked and key == self.admin_key

    def _generated(self, day: date) -> tuple[Fact, ...]:
        age = (day - self.first_day).days
        if age < 0:
            return ()
        return facts_of_day(self.workloads, seed=self.seed, day=day, age=age, growth=self.growth)


def demo_organizations(today: date) -> list[SimulatedOrganization]:
    """A lab of some 40 rows a day, a shop of 15, and a startup of 6 that is 50 days old on `today`."""
    return [
        SimulatedOrganization(
            workloads=LAB,
            organization_id="org-SIMULATEDLUMEN",
            name="Lumen Research (simulated)",
            admin_key="sk-admin-simulated-lumen",
            seed=11,
            first_day=date(2024, 3, 4),
            growth=0.25,
        ),
        SimulatedOrganization(
            workloads=SHOP,
            organization_id="org-SIMULATEDACME",
            name="Acme Shop (simulated)",
            admin_key="sk-admin-simulated-acme",
            seed=22,
            first_day=date(2024, 9, 2),
            users_with_projects_served=True,
        ),
        SimulatedOrganization(
            workloads=STARTUP,
            organization_id="org-SIMULATEDNIMBUS",
            name="Nimbus (simulated)",
            admin_key="sk-admin-simulated-nimbus",
            seed=33,
            first_day=today - timedelta(days=50),
            growth=3.0,
            users_with_projects_served=True,
        ),
    ]
