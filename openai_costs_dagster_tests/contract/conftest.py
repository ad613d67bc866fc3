from collections.abc import Iterator

import pytest

from ..conftest import Databases
from .sample import Sample, load


@pytest.fixture(scope="session")
def sample(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    """Stored days of everything that can happen; whoever changes them rolls back."""
    database = databases.new()
    yield load(database, tmp_path_factory.mktemp("sample"))
    databases.drop(database)
