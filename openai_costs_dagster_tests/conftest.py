"""What every room's tests share: real PostgreSQL, a simulated Admin API over real HTTP, a clock that stands still.

Databases are embedded ones; where `TEST_DATABASE_URL` names a server (as someone who may create databases there),
every test that takes one runs once more on it.
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
from openai_costs_dagster.simulator import Fault, Quirks, SimulatedOrganization, Simulator
from openai_costs_dagster.simulator.faults import Reply
from openai_costs_dagster.simulator.queries import Query
from openai_costs_dagster.warehouse import embedded
from openai_costs_dagster.warehouse.database import Connection, Database

from .installation import Installation, install
from .loaded import loaded  # noqa: F401  # a fixture of all folders
from .midnight import pytest_runtest_protocol  # noqa: F401  # a hook for all folders

pytest_plugins = ["openai_costs_dagster_tests.sync_fixtures"]

NOW = dt.datetime(2026, 3, 11, 14, 30, tzinfo=dt.UTC)

_EXTERNAL = "TEST_DATABASE_URL"
_SERVERS = ["embedded", "external"] if os.environ.get(_EXTERNAL) else ["embedded"]
_OF_THE_USER = (
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
    """Retries happen, their pauses do not."""
    with stamina.set_testing(True, attempts=10, cap=True):
        yield


@pytest.fixture(autouse=True)
def _without_the_users_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _OF_THE_USER:
        monkeypatch.setenv(name, "")  # first, so that what a test leaves behind is taken away again
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _embedded_server() -> Iterator[str]:
    # Not in pytest's own folder: root's server runs as another user, who could not pass through it.
    folder = Path(tempfile.mkdtemp(prefix="openai-costs-tests-"))
    try:
        url = embedded.start(folder)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("alter system set fsync = off")  # nothing here has to outlive the machine
            connection.execute("select pg_reload_conf()")
        yield url
    finally:
        embedded.stop(folder)
        shutil.rmtree(folder)


class Databases:
    """Makes databases on one server and drops them again."""

    def __init__(self, server_url: str, stack: ExitStack) -> None:
        self._url = server_url
        self._stack = stack
        self.administrator = stack.enter_context(psycopg.connect(Database(server_url).url, autocommit=True))
        self._prepared: str | None = None

    def new(self, *, prepared: bool = True, more: str = "") -> Database:
        """A database of its own, with the schema of this release or with nothing in it.

        `more` are further words of an empty database's CREATE DATABASE.
        """
        if not prepared:
            return self._create("template0", more)
        if self._prepared is None:
            template = self._create("template0")
            template.prepare()
            self._prepared = urlsplit(template.url).path[1:]
        return self._create(self._prepared)

    def copy(self, database: Database) -> Database:
        """Another one like it, with the same rights in it; nobody may be connected to the first."""
        return self._create(urlsplit(database.url).path[1:])

    def drop(self, database: Database) -> None:
        self._drop(urlsplit(database.url).path[1:])

    def _create(self, template: str, more: str = "") -> Database:
        name = f"openai_costs_test_{uuid.uuid4().hex[:12]}"
        self.administrator.execute(f"create database {name} template {template} strategy file_copy {more}")
        self._stack.callback(self._drop, name)
        return Database(urlsplit(Database(self._url).url)._replace(path=f"/{name}").geturl())

    def _drop(self, name: str) -> None:
        self.administrator.execute(f"drop database if exists {name} with (force)")


@pytest.fixture(scope="session", params=_SERVERS)
def databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """The server of this run of the test."""
    url = os.environ[_EXTERNAL] if request.param == "external" else request.getfixturevalue("_embedded_server")
    with ExitStack() as stack:
        yield Databases(url, stack)


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    """A fresh database with the schema of this release."""
    database = databases.new()
    yield database
    databases.drop(database)


@pytest.fixture
def empty_database(databases: Databases) -> Iterator[Database]:
    """A fresh database with nothing in it."""
    database = databases.new(prepared=False)
    yield database
    databases.drop(database)


@pytest.fixture(scope="session")
def trusting(_embedded_server: str) -> Iterator[Databases]:
    """The embedded server, which lets every role in without a password."""
    with ExitStack() as stack:
        yield Databases(_embedded_server, stack)


@pytest.fixture(scope="session")
def _installations(trusting: Databases) -> dict[bool, Database]:
    """To be copied: with the roles of docs/security.md, and with readers by organization where that is true."""
    both = (False, True)
    return {one: install(trusting.new(prepared=False), by_organization=one).database for one in both}


@pytest.fixture
def installed(trusting: Databases, _installations: dict[bool, Database]) -> Iterator[Installation]:
    """A fresh database with roles of least privilege."""
    database = trusting.copy(_installations[False])
    yield Installation(database)
    trusting.drop(database)


@pytest.fixture
def by_organization(trusting: Databases, _installations: dict[bool, Database]) -> Iterator[Installation]:
    """The same where readers see their own organizations alone."""
    database = trusting.copy(_installations[True])
    yield Installation(database)
    trusting.drop(database)


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connect() as connection:
        yield connection


class Clock:
    """Tells the time that it was told."""

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
    """Tells `script` of every request before it is answered: the world may change between two requests."""

    script: Callable[[Query], None] = staticmethod(lambda _: None)

    def reply(self, method: str, target: str, key: str | None) -> tuple[Reply, Fault | None]:
        self.script(parse_qs(urlsplit(target).query))
        return super().reply(method, target, key)


class RunSimulator(Protocol):
    def __call__(
        self, *organizations: SimulatedOrganization, quirks: Quirks = ..., clock: Callable[[], dt.datetime] = ...
    ) -> ScriptedSimulator: ...


@pytest.fixture
def simulator(clock: Clock) -> Iterator[RunSimulator]:
    """Runs simulated organizations until the test ends; the time there is `clock`'s unless told."""
    with ExitStack() as stack:

        def run(
            *organizations: SimulatedOrganization,
            quirks: Quirks = Quirks(),  # noqa: B008  # frozen
            clock: Callable[[], dt.datetime] = clock,
        ) -> ScriptedSimulator:
            running = ScriptedSimulator(organizations, quirks, clock)
            stack.enter_context(running)
            return running

        yield run


class MakeOrganization(Protocol):
    def __call__(
        self, simulator: Simulator, name: str = ..., simulated: SimulatedOrganization | None = ..., **settings: Any
    ) -> Organization: ...


@pytest.fixture
def organization(tmp_path: Path) -> MakeOrganization:
    """Configures a simulated organization, the first one unless told; its key lies in the file `<name>.key`."""

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
    """A configuration whose database URL lies in a file; without one it means an embedded server of its own."""

    def make(*organizations: Organization, database: Database | str | None = None, **settings: Any) -> Configuration:
        if database is not None:
            file = tmp_path / "database.url"
            file.write_text(database if isinstance(database, str) else database.url, encoding="utf-8")
            settings["database"] = DatabaseSettings(url=SecretReference(file=file))
        settings = {"data_directory": tmp_path / "data", **settings}
        return Configuration(organizations={one.name: one for one in organizations}, **settings)

    return make


OpenInstance = Callable[[Configuration, Database], dg.DagsterInstance]


@pytest.fixture
def open_instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenInstance]:
    """Opens Dagster's instance as every process of ours does: from the environment, in the costs' own database."""
    with ExitStack() as stack:

        def open_it(configuration: Configuration, database: Database) -> dg.DagsterInstance:
            instance.prepare(database)
            for name, value in instance.environment(configuration, database).items():
                monkeypatch.setenv(name, value)
            return stack.enter_context(dg.DagsterInstance.get())

        yield open_it
