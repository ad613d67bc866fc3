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
    """Stored days on which everything happened that can be asked for."""
    database = databases.new()
    yield load(database, tmp_path_factory.mktemp("sample"))
    databases.drop(database)


@pytest.fixture(scope="session")
def reader(sample: Sample) -> Iterator[Connection]:
    """A session of the read-only user, in a zone that is not UTC: no query must mind."""
    script = READ_ONLY_USER.read_text(encoding="utf-8")
    with sample.database.connect() as connection:
        for _ in range(2):  # it may be run again
            connection.execute(script)
        connection.execute("set role openai_costs_reader")
        connection.execute("set timezone = 'America/Los_Angeles'")
        connection.execute("set default_transaction_read_only = on")
        yield connection
        connection.execute("set default_transaction_read_only = off")
        connection.execute("reset role")
        connection.execute("drop owned by openai_costs_reader")
        with suppress(psycopg.errors.DependentObjectsStillExist):  # other tests' databases know the role as well
            connection.execute("drop role openai_costs_reader")
