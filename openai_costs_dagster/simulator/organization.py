"""Simulated organizations: their facts by day, and the changes that a test or the demo makes to them.

All responses of the simulator are rendered from these data. This module does not depend on the format of responses.
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

# The ten usage endpoints of the published specification. The endpoint `DECISIONS` exists only in OpenAI's SDK.
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

# The live API refuses grouping by api_key_id if the requested period begins before this day.
API_KEYS_SINCE = date(2025, 12, 6)


@dataclass(eq=False, kw_only=True)  # Organizations are compared by identity, because caches use them as keys.
class SimulatedOrganization:
    """A simulated organization: its generated facts, and the groupings and endpoints that the API offers to it.

    The facts of a day depend on `workloads`, `seed`, `first_day` and `growth`, and are generated when they are first
    used. Generated facts must only be changed by the methods, which are safe to call while a simulator serves the
    organization. All other attributes may be set at any time.
    """

    workloads: tuple[Workload, ...] = SHOP
    organization_id: str = "org-SIMULATEDACME"
    name: str = "Acme (simulated)"
    admin_key: str = field(default="sk-admin-simulated-acme", repr=False)
    seed: int = 1
    first_day: date = date(2025, 1, 1)
    growth: float = 0.4
    """The yearly growth of the spend, as a share of the spend on the first day."""
    api_keys_from: date | None = API_KEYS_SINCE
    """The first day from which costs can be grouped by api_key_id. None allows every day."""
    api_keys_served: bool = True
    """Whether the API allows grouping by api_key_id."""
    users_with_projects_from: date | None = None
    """The first day from which user_id and project_id can be combined. None allows every day."""
    users_with_projects_served: bool = False
    """Whether the API allows the combination of user_id and project_id."""
    users_served: bool = True
    """Whether the API allows grouping by user_id."""
    lookback_days: int = 365
    """The largest number of days before the current day at which a requested period may begin."""
    usage_endpoints: Set[str] = USAGE_ENDPOINTS
    """The names of the usage endpoints that exist in this organization."""
    usage_delay_days: int = 0
    """The number of newest days, including the current day, that usage does not contain yet."""
    scopes: Set[str] = frozenset({USAGE_SCOPE, MANAGEMENT_SCOPE})
    key_revoked: bool = False
    admin_key_expires: datetime | None = None
    spend_limit_cents: int | None = None
    """The monthly hard spend limit in US cents, or None if there is no limit."""
    spend_alert_cents: tuple[int, ...] = ()
    """The amounts of the monthly spend alerts, in US cents."""
    revision: int = field(default=0, init=False)
    """The number of changes to the facts so far, which caches use as part of their keys."""
    _changes: dict[date, list[Change]] = field(default_factory=dict, init=False, repr=False)
    _usage_changes: dict[date, list[Change]] = field(default_factory=dict, init=False, repr=False)
    _names: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _archived: dict[str, datetime] = field(default_factory=dict, init=False, repr=False)
    _deleted: frozenset[str] = field(default=frozenset(), init=False, repr=False)
    _rotations: int = field(default=0, init=False, repr=False)
    _facts_by_day: dict[date, tuple[Fact, ...]] = field(default_factory=dict, init=False, repr=False)
    # The lock must be reentrant, because `plant_anomaly` calls `restate` while it holds the lock.
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    @property
    def projects(self) -> tuple[Project, ...]:
        """All projects with their current names, including archived projects, in the order of the workloads."""
        found = dict.fromkeys(work.project for work in self.workloads if work.project)
        return tuple(replace(project, name=self._names.get(project.id, project.name)) for project in found)

    @property
    def api_keys(self) -> tuple[ApiKey, ...]:
        """All API keys, including deleted keys."""
        return tuple(dict.fromkeys(work.key for work in self.workloads if work.key))

    @property
    def users(self) -> tuple[User, ...]:
        """The owners of the API keys, including deleted users."""
        return tuple(dict.fromkeys(key.user for key in self.api_keys if key.user))

    @property
    def archived(self) -> dict[str, datetime]:
        """The archived projects, as times of archiving by project id."""
        with self._lock:
            return dict(self._archived)

    @property
    def deleted(self) -> frozenset[str]:
        """The ids of deleted users and API keys, whose costs remain."""
        return self._deleted

    @property
    def admin_key_id(self) -> str:
        """The id of the admin key, which changes with each rotation."""
        return f"key_simulated_admin_{self._rotations + 1}"

    def keys_of(self, project: Project) -> tuple[ApiKey, ...]:
        """Return the API keys of a project, including deleted keys."""
        found = (work.key for work in self.workloads if work.project and work.project.id == project.id)
        return tuple(dict.fromkeys(key for key in found if key))

    def facts(self, day: date) -> tuple[Fact, ...]:
        """Return the facts of a whole UTC day, with all changes to them. Days before `first_day` have no facts."""
        with self._lock:
            if day not in self._facts_by_day:
                facts = self._generated(day)
                for change in self._changes.get(day, ()):
                    facts = change(facts)
                self._facts_by_day[day] = facts
            return self._facts_by_day[day]

    def facts_until(self, day: date, now: datetime) -> tuple[Fact, ...]:
        """Return the facts of a UTC day up to the time `now`.

        The facts of the current day are multiplied by the elapsed share of the day. Later days have no facts.
        """
        share = _elapsed_share(day, now)
        return self.facts(day) if share == 1 else _scaled(self.facts(day), share)

    def usage_facts(self, day: date) -> tuple[Fact, ...]:
        """Return the facts of a whole UTC day as usage reports them, including changes by `restate_usage`."""
        with self._lock:
            facts = self.facts(day)
            for change in self._usage_changes.get(day, ()):
                facts = change(facts)
            return facts

    def usage_facts_until(self, day: date, now: datetime) -> tuple[Fact, ...]:
        """Return the facts of a UTC day as usage reports them up to the time `now`.

        The newest `usage_delay_days` days have no facts.
        """
        newest = now.astimezone(UTC).date() - timedelta(days=self.usage_delay_days)
        share = _elapsed_share(day, now) if day <= newest else Decimal(0)
        return self.usage_facts(day) if share == 1 else _scaled(self.usage_facts(day), share)

    def plant_anomaly(
        self,
        day: date,
        factor: Decimal | float,
        project_id: str | None = None,
        model: str | None = None,
    ) -> None:
        """Multiply the amounts and quantities of a day, optionally only those of one project or one model.

        Raises `ValueError` if no fact matches.
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
        """Replace the facts of a day by `function(facts)`.

        Earlier changes of the day have already been applied to `facts`.
        """
        with self._lock:
            self._changes.setdefault(day, []).append(function)
            self._facts_by_day.pop(day, None)
            self.revision += 1

    def restate_usage(self, day: date, function: Change) -> None:
        """Replace the facts of a day in usage by `function(facts)`. Costs do not change.

        Earlier changes of the day have already been applied to `facts`.
        """
        with self._lock:
            self._usage_changes.setdefault(day, []).append(function)
            self.revision += 1

    def clear_day(self, day: date) -> None:
        """Remove all facts of a day, so that its costs and usage are empty."""
        self.restate(day, lambda _: ())

    def rename_project(self, project_id: str, name: str) -> None:
        """Rename a project on all days. Raises `ValueError` if the project does not exist."""
        with self._lock:
            _check_known(project_id, (project.id for project in self.projects))
            # Every fact contains the name of its project, so all facts must be generated again.
            self._names[project_id] = name
            self._facts_by_day.clear()
            self.revision += 1

    def archive_project(self, project_id: str, at: datetime) -> None:
        """Archive a project, whose costs remain. Raises `ValueError` if the project does not exist."""
        with self._lock:
            _check_known(project_id, (project.id for project in self.projects))
            # Costs and usage do not depend on the status of a project. The revision stays, so that caches remain valid.
            self._archived[project_id] = at

    def delete_user(self, user_id: str) -> None:
        """Delete a user, whose API keys become inactive. Raises `ValueError` if the user does not exist."""
        with self._lock:
            _check_known(user_id, (user.id for user in self.users))
            self._deleted |= {user_id}

    def delete_key(self, api_key_id: str) -> None:
        """Delete an API key, whose costs remain. Raises `ValueError` if the key does not exist."""
        with self._lock:
            _check_known(api_key_id, (key.id for key in self.api_keys))
            self._deleted |= {api_key_id}

    def revoke_key(self) -> None:
        """Revoke the admin key, so that the API refuses all requests with status 401."""
        with self._lock:
            self.key_revoked = True

    def rotate_key(self, new: str) -> None:
        """Replace the admin key with a new key, and accept only the new key."""
        with self._lock:
            self.admin_key = new
            self.key_revoked = False
            self._rotations += 1

    def accepts(self, key: str) -> bool:
        """Return whether a key is the current admin key and is not revoked."""
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
    """Return the elapsed share of a UTC day at the time `now`, rounded down to four decimals."""
    today = now.astimezone(UTC).date()
    if day != today:
        return Decimal(1 if day < today else 0)
    # Integer arithmetic gives an exact decimal. With a float share, the amounts of the current day would be inexact.
    elapsed = now - datetime.combine(today, time(), UTC)
    return Decimal(elapsed * 10_000 // timedelta(days=1)).scaleb(-4)


def _scaled(facts: tuple[Fact, ...], share: Decimal) -> tuple[Fact, ...]:
    return tuple(fact.scaled(share) for fact in facts) if share else ()


def _check_known(identifier: str, known: Iterable[str]) -> None:
    if identifier not in known:
        raise ValueError(f"the organization has no {identifier!r}")


def demo_organizations(today: date) -> list[SimulatedOrganization]:
    """Return the three organizations of the demo.

    A research lab has about 40 rows per day, and a shop 15. A startup has 6 rows per day and is 50 days old on `today`.
    """
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
