"""Fixtures of all tests: PostgreSQL databases, a simulated Admin API over HTTP, and a clock that tests set.

Tests use an embedded PostgreSQL server. If `TEST_DATABASE_URL` is the address of another server, with a role that may
create databases, every test with a database runs a second time on that server.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import hypothesis
import psycopg
import pytest
import stamina

from openai_costs_dagster.configuration import Configuration, DatabaseSettings, Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.orchestration.runtime import instance
from openai_costs_dagster.simulator import Deviations, Fault, SimulatedOrganization, Simulator
from openai_costs_dagster.simulator.faults import Reply
from openai_costs_dagster.simulator.queries import Query
from openai_costs_dagster.warehouse import embedded
from openai_costs_dagster.warehouse.database import Connection, Database

from .installation import Installation, install
from .loaded import loaded  # noqa: F401  # a fixture for all tests
from .midnight import pytest_runtest_protocol  # noqa: F401  # a hook for all tests

pytest_plugins = ["openai_costs_dagster_tests.sync_fixtures"]

NOW = dt.datetime(2026, 3, 11, 14, 30, tzinfo=dt.UTC)

_EXTERNAL = "TEST_DATABASE_URL"
_SERVERS = ["embedded", "external"] if os.environ.get(_EXTERNAL) else ["embedded"]
_ENVIRONMENT_OF_THE_USER = (
    "COLUMNS",  # Workers of pytest-xdist have it too, and commands would wrap their messages.
    "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR",
    "DAGSTER_EVENT_BATCH_SIZE",
    "DAGSTER_HOME",
    "DATABASE_URL",
    "OPENAI_ADMIN_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_COSTS_CONFIG",
    "OPENAI_COSTS_DAGSTER_DATABASE_URL",
    "OPENAI_COSTS_EMBEDDED_SERVER",
    "OPENAI_ORG_ID",
)

hypothesis.settings.register_profile("loaded machines", deadline=None, print_blob=True)
hypothesis.settings.load_profile("loaded machines")


@pytest.fixture(autouse=True)
def _without_waiting() -> Iterator[None]:
    """Retry failed requests without waiting."""
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


@pytest.fixture(autouse=True)
def _without_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _ENVIRONMENT_OF_THE_USER:
        # Set before it is deleted, so that monkeypatch also removes a value that the test itself sets.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _embedded_server() -> Iterator[str]:
    # Outside pytest's temporary directory, which another user cannot enter: as root, the server runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="openai-costs-tests-"))
    try:
        url = embedded.start(folder)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "alter system set fsync = off"
            )  # This is faster, and test databases need not survive a power failure.
            connection.execute("select pg_reload_conf()")
        yield url
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder)


class Databases:
    """Creates databases on one server, and drops them at the end."""

    def __init__(self, server_url: str, stack: ExitStack) -> None:
        self._url = server_url
        self._stack = stack
        self.administrator = stack.enter_context(psycopg.connect(Database(server_url).url, autocommit=True))
        self._prepared: str | None = None

    def new(self, *, prepared: bool = True, options: str = "") -> Database:
        """Create a database, with the current schema or empty.

        `options` are further options of CREATE DATABASE for an empty database.
        """
        if not prepared:
            return self._create("template0", options)
        if self._prepared is None:
            template = self._create("template0")
            template.prepare()
            self._prepared = urlsplit(template.url).path[1:]
        return self._create(self._prepared)

    def copy(self, database: Database) -> Database:
        """Create a copy, including all privileges. The original must have no open connection."""
        return self._create(urlsplit(database.url).path[1:])

    def drop(self, database: Database) -> None:
        self._drop(urlsplit(database.url).path[1:])

    def _create(self, template: str, options: str = "") -> Database:
        name = f"openai_costs_test_{uuid.uuid4().hex[:12]}"
        self.administrator.execute(f"create database {name} template {template} strategy file_copy {options}")
        self._stack.callback(self._drop, name)
        return Database(urlsplit(Database(self._url).url)._replace(path=f"/{name}").geturl())

    def _drop(self, name: str) -> None:
        self.administrator.execute(f"drop database if exists {name} with (force)")


@pytest.fixture(scope="session", params=_SERVERS)
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """The PostgreSQL server on which the test runs."""
    url = os.environ[_EXTERNAL] if request.param == "external" else request.getfixturevalue("_embedded_server")
    with ExitStack() as stack:
        yield Databases(url, stack)


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    """A new database with the current schema."""
    database = databases.new()
    yield database
    databases.drop(database)


@pytest.fixture
def empty_database(databases: Databases) -> Iterator[Database]:
    """A new, empty database."""
    database = databases.new(prepared=False)
    yield database
    databases.drop(database)


@pytest.fixture(scope="session")
def trust_server(_embedded_server: str) -> Iterator[Databases]:
    """The embedded server, which accepts every role without a password (`trust` authentication)."""
    with ExitStack() as stack:
        yield Databases(_embedded_server, stack)


@pytest.fixture(scope="session")
def _installations(trust_server: Databases) -> dict[bool, Database]:
    """Template databases with the roles of docs/security.md, by whether readers are limited to their organizations."""
    return {
        by_organization: install(trust_server.new(prepared=False), by_organization=by_organization).database
        for by_organization in (False, True)
    }


@pytest.fixture
def installed(trust_server: Databases, _installations: dict[bool, Database]) -> Iterator[Installation]:
    """A new database with the roles of docs/security.md."""
    database = trust_server.copy(_installations[False])
    yield Installation(database)
    trust_server.drop(database)


@pytest.fixture
def by_organization(trust_server: Databases, _installations: dict[bool, Database]) -> Iterator[Installation]:
    """A new database with the roles of docs/security.md, in which readers only see their own organizations."""
    database = trust_server.copy(_installations[True])
    yield Installation(database)
    trust_server.drop(database)


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as connection:
        yield connection


class Clock:
    """A clock that always returns `now`, which tests set."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    def __call__(self) -> dt.datetime:
        return self.now

    @property
    def today(self) -> dt.date:
        return self.now.date()


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


class ScriptedSimulator(Simulator):
    """A simulator that calls `script` with each query before it responds, so that a test can change the data."""

    script: Callable[[Query], None] = staticmethod(lambda _: None)

    def reply(self, method: str, target: str, key: str | None) -> tuple[Reply, Fault | None]:
        self.script(parse_qs(urlsplit(target).query))
        return super().reply(method, target, key)


class RunSimulator(Protocol):
    def __call__(
        self,
        *organizations: SimulatedOrganization,
        deviations: Deviations = ...,
        clock: Callable[[], dt.datetime] = ...,
    ) -> ScriptedSimulator: ...


@pytest.fixture
def simulator(clock: Clock) -> Iterator[RunSimulator]:
    """Return a function that simulates organizations until the test ends, by default at the time of `clock`."""
    with ExitStack() as stack:

        def run(
            *organizations: SimulatedOrganization,
            deviations: Deviations = Deviations(),  # noqa: B008  # frozen
            clock: Callable[[], dt.datetime] = clock,
        ) -> ScriptedSimulator:
            running = ScriptedSimulator(organizations, deviations, clock)
            stack.enter_context(running)
            return running

        yield run


class MakeOrganization(Protocol):
    def __call__(
        self, simulator: Simulator, name: str = ..., simulated: SimulatedOrganization | None = ..., **settings: Any
    ) -> Organization: ...


@pytest.fixture
def organization(tmp_path: Path) -> MakeOrganization:
    """Return a function that configures a simulated organization, by default the simulator's first one."""

    def make(
        simulator: Simulator, name: str = "acme", simulated: SimulatedOrganization | None = None, **settings: Any
    ) -> Organization:
        file = tmp_path / f"{name}.key"
        file.write_text((simulated or simulator.organizations[0]).admin_key, encoding="utf-8")
        settings = {"base_url": simulator.base_url, **settings}
        return Organization(name=name, admin_key=SecretReference(file=file), **settings)

    return make


class Configure(Protocol):
    def __call__(
        self, *organizations: Organization, database: Database | str | None = ..., **settings: Any
    ) -> Configuration: ...


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Return a function that creates a configuration. Without `database`, it uses an embedded server of its own."""

    def make(*organizations: Organization, database: Database | str | None = None, **settings: Any) -> Configuration:
        if database is not None:
            file = tmp_path / "database.url"
            file.write_text(database if isinstance(database, str) else database.url, encoding="utf-8")
            settings["database"] = DatabaseSettings(url=SecretReference(file=file))
        settings = {"data_directory": tmp_path / "data", **settings}
        return Configuration(
            organizations={organization.name: organization for organization in organizations}, **settings
        )

    return make


OpenInstance = Callable[[Configuration, Database], dg.DagsterInstance]


@pytest.fixture
def open_instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenInstance]:
    """Return a function that opens Dagster's instance as the program does: in the configured database."""
    with ExitStack() as stack:

        def open_from_environment(configuration: Configuration, database: Database) -> dg.DagsterInstance:
            instance.prepare(database)
            for name, value in instance.environment(configuration, database).items():
                monkeypatch.setenv(name, value)
            return stack.enter_context(dg.DagsterInstance.get())

        yield open_from_environment
