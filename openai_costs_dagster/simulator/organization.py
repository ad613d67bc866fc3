"""What happened: organizations, their days, and the changes that a test or the demo makes to them.

This is the truth that every answer is rendered from; it must never know how an answer looks.
"""

import threading
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from openai_costs_dagster.simulator.companies import LAB, SHOP, STARTUP
from openai_costs_dagster.simulator.facts import Fact
from openai_costs_dagster.simulator.workloads import ApiKey, Project, User, Workload, facts_of_day

Change = Callable[[tuple[Fact, ...]], tuple[Fact, ...]]

USAGE_SCOPE = "api.usage.read"
MANAGEMENT_SCOPE = "api.management.read"

# What is counted besides the bill: the published spec's ten, and one that only the official SDK knows.
USAGE_ENDPOINTS = frozenset(
    {
        "completions",
        "embeddings",
        "moderations",
        "images",
        "audio_speeches",
        "audio_transcriptions",
        "vector_stores",
        "code_interpreter_sessions",
        "file_search_calls",
        "web_search_calls",
    }
)
DECISIONS = "decisions"

# The live API refuses api_key_id for windows that start before this day.
API_KEYS_SINCE = date(2025, 12, 6)


@dataclass(eq=False, kw_only=True)
class SimulatedOrganization:
    """An organization whose every UTC day follows from its seed, with what its API serves and refuses.

    `growth` is by how much of its first day's spend it grows in a year. `api_keys_from` is the first day that
    a window grouped by api_key_id may start on (None: any) and `api_keys_served` whether there is such a day
    at all; `users_with_projects_from` and `users_with_projects_served` say the same of user_id together with
    project_id, and `users_served` of user_id at all. `lookback_days` is how far before today a window may start.
    `usage_endpoints` are the usage endpoints that exist, and `usage_delay_days` how many of the newest days, today
    first, usage does not tell yet. `admin_key_expires` is an aware time; OpenAI's own limits of a month are in
    cents (None: no limit). What is served may be set at any time; the past is settled by `workloads`, `seed`,
    `first_day` and `growth` when its days are first asked for, and changed only through the methods, which are safe
    to call while a simulator serves.
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
    users_served: bool = True
    lookback_days: int = 365
    usage_endpoints: Set[str] = USAGE_ENDPOINTS
    usage_delay_days: int = 0
    scopes: Set[str] = frozenset({USAGE_SCOPE, MANAGEMENT_SCOPE})
    key_revoked: bool = False
    admin_key_expires: datetime | None = None
    spend_limit_cents: int | None = None
    spend_alert_cents: tuple[int, ...] = ()
    revision: int = field(default=0, init=False)
    _changes: dict[date, list[Change]] = field(default_factory=dict, init=False, repr=False)
    _usage_changes: dict[date, list[Change]] = field(default_factory=dict, init=False, repr=False)
    _names: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _archived: dict[str, datetime] = field(default_factory=dict, init=False, repr=False)
    _deleted: frozenset[str] = field(default=frozenset(), init=False, repr=False)
    _rotations: int = field(default=0, init=False, repr=False)
    _known: dict[date, tuple[Fact, ...]] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    @property
    def projects(self) -> tuple[Project, ...]:
        """The projects under their names of now, archived ones too, in the order of their first workload."""
        found = dict.fromkeys(work.project for work in self.workloads if work.project)
        return tuple(replace(project, name=self._names.get(project.id, project.name)) for project in found)

    @property
    def api_keys(self) -> tuple[ApiKey, ...]:
        """The API keys, each once."""
        return tuple(dict.fromkeys(work.key for work in self.workloads if work.key))

    @property
    def users(self) -> tuple[User, ...]:
        """The owners of the API keys, each once, deleted ones too."""
        return tuple(dict.fromkeys(key.user for key in self.api_keys if key.user))

    @property
    def archived(self) -> dict[str, datetime]:
        """When each project that is archived was."""
        with self._lock:
            return dict(self._archived)

    @property
    def deleted(self) -> frozenset[str]:
        """The users and API keys that the directory has no more; what they spent stays."""
        return self._deleted

    @property
    def admin_key_id(self) -> str:
        """What the directory calls the admin key: another one after each rotation."""
        return f"key_simulated_admin_{self._rotations + 1}"

    def keys_of(self, project: Project) -> tuple[ApiKey, ...]:
        """The API keys that work in a project, each once, deleted ones too."""
        found = (work.key for work in self.workloads if work.project and work.project.id == project.id)
        return tuple(dict.fromkeys(key for key in found if key))

    def facts(self, day: date) -> tuple[Fact, ...]:
        """Everything that is known of a whole UTC day, all changes made; nothing before `first_day`."""
        with self._lock:
            if day not in self._known:
                facts = self._generated(day)
                for change in self._changes.get(day, ()):
                    facts = change(facts)
                self._known[day] = facts
            return self._known[day]

    def facts_until(self, day: date, now: datetime) -> tuple[Fact, ...]:
        """What of a UTC day has happened by `now`, an aware time: part of today, nothing of later days.

        The part is told to four decimals, rounded down; at 0 there are no facts.
        """
        part = _elapsed_share(day, now)
        return self.facts(day) if part == 1 else _scaled(self.facts(day), part)

    def usage_facts(self, day: date) -> tuple[Fact, ...]:
        """What usage counts of a whole UTC day: its facts, with the changes made to usage alone on top."""
        with self._lock:
            facts = self.facts(day)
            for change in self._usage_changes.get(day, ()):
                facts = change(facts)
            return facts

    def usage_facts_until(self, day: date, now: datetime) -> tuple[Fact, ...]:
        """What usage counts of a UTC day by `now`, an aware time; nothing of the newest `usage_delay_days`."""
        newest = now.astimezone(UTC).date() - timedelta(days=self.usage_delay_days)
        part = _elapsed_share(day, now) if day <= newest else Decimal(0)
        return self.usage_facts(day) if part == 1 else _scaled(self.usage_facts(day), part)

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

    def restate_usage(self, day: date, function: Change) -> None:
        """Let usage count other facts than a day's, on top of every change made before; costs stay as they are."""
        with self._lock:
            self._usage_changes.setdefault(day, []).append(function)
            self.revision += 1

    def clear_day(self, day: date) -> None:
        """Make a day a quiet one."""
        self.restate(day, lambda _: ())

    def rename_project(self, project_id: str, name: str) -> None:
        """Call a project otherwise from now on, on every day. Raises ValueError where there is no such project."""
        with self._lock:
            _check_known(project_id, (project.id for project in self.projects))
            self._names[project_id] = name
            self._known.clear()
            self.revision += 1

    def archive_project(self, project_id: str, at: datetime) -> None:
        """Put a project away at an aware time; what it spent stays. Raises ValueError where there is none such."""
        with self._lock:
            _check_known(project_id, (project.id for project in self.projects))
            self._archived[project_id] = at

    def delete_user(self, user_id: str) -> None:
        """Take a user from the directory; their keys' owner has no access any more. Raises ValueError if unknown."""
        with self._lock:
            _check_known(user_id, (user.id for user in self.users))
            self._deleted |= {user_id}

    def delete_key(self, api_key_id: str) -> None:
        """Take an API key from the directory. Raises ValueError where there is no such key."""
        with self._lock:
            _check_known(api_key_id, (key.id for key in self.api_keys))
            self._deleted |= {api_key_id}

    def revoke_key(self) -> None:
        """Response the admin key with 401 from now on."""
        with self._lock:
            self.key_revoked = True

    def rotate_key(self, new: str) -> None:
        """Put a new, working admin key in the place of the old one."""
        with self._lock:
            self.admin_key = new
            self.key_revoked = False
            self._rotations += 1

    def accepts(self, key: str) -> bool:
        """Whether the key opens this organization now."""
        with self._lock:
            return not self.key_revoked and key == self.admin_key

    def _generated(self, day: date) -> tuple[Fact, ...]:
        age = (day - self.first_day).days
        if age < 0:
            return ()
        facts = facts_of_day(self.workloads, seed=self.seed, day=day, age=age, growth=self.growth)
        if not self._names:
            return facts
        return tuple(
            replace(fact, project_name=self._names.get(fact.project_id or "", fact.project_name)) for fact in facts
        )


def _elapsed_share(day: date, now: datetime) -> Decimal:
    """How much of a UTC day is over at `now`, to four decimals, rounded down."""
    today = now.astimezone(UTC).date()
    if day != today:
        return Decimal(1 if day < today else 0)
    elapsed = now - datetime.combine(today, time(), UTC)
    return Decimal(elapsed * 10_000 // timedelta(days=1)).scaleb(-4)


def _scaled(facts: tuple[Fact, ...], part: Decimal) -> tuple[Fact, ...]:
    return tuple(fact.scaled(part) for fact in facts) if part else ()


def _check_known(identifier: str, known: Iterable[str]) -> None:
    if identifier not in known:
        raise ValueError(f"no {identifier!r} here")


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
