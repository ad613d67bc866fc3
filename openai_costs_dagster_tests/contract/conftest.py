"""Fixtures of the contract tests: a database with sample data, and a read-only connection to it."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from openai_costs_dagster.warehouse.database import Connection

from ..conftest import Databases
from .sample import Sample, load

READ_ONLY_USER = Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "read_only_user.sql"


@pytest.fixture(scope="session")
def sample(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """A database with the sample data, which the tests must not change."""
    database = databases.new()
    yield load(database, tmp_path_factory.mktemp("sample"))
    databases.drop(database)


@pytest.fixture(scope="session")
def reader(sample: Sample) -> Iterator[Connection]:
    """A session of the read-only user. Its time zone is not UTC, because no query may depend on the time zone."""
    script = READ_ONLY_USER.read_text(encoding="utf-8")
    with sample.database.connect() as connection:
        for _ in range(2):  # The script must be repeatable.
            connection.execute(script)
        connection.execute("set role openai_costs_reader")
        connection.execute("set timezone = 'America/Los_Angeles'")
        connection.execute("set default_transaction_read_only = on")
        yield connection
        connection.execute("set default_transaction_read_only = off")
        connection.execute("reset role")
        connection.execute("drop owned by openai_costs_reader")
        # The role is shared by all databases of the server, and other tests may still use it.
        with suppress(psycopg.errors.DependentObjectsStillExist):
            connection.execute("drop role openai_costs_reader")
