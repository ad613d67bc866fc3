"""The embedded server: attached to by many, owned by none, open to nobody else, gone only when told."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from openai_costs_dagster.warehouse import embedded, errors

ATTACH = """
import sys
from pathlib import Path
from openai_costs_dagster.warehouse import embedded
print(embedded.start(Path(sys.argv[1])))
"""


@pytest.fixture
def data_directory() -> Iterator[Path]:
    """One that does not exist yet, where root's server can get at it."""
    folder = Path(tempfile.mkdtemp(prefix="openai-costs-tests-"))
    folder.chmod(0o711)
    yield folder / "data"
    embedded.stop(folder / "data")
    shutil.rmtree(folder)


def start_elsewhere(data_directory: Path) -> str:
    """Starts the server, or attaches to it, in a process that ends at once."""
    starter = subprocess.run(  # noqa: S603  # our own text
        [sys.executable, "-c", ATTACH, str(data_directory)], capture_output=True, text=True, check=True, timeout=60
    )
    return starter.stdout.strip()


def test_a_server_outlives_who_started_it_keeps_what_it_was_given_and_stops_when_told(data_directory: Path) -> None:
    assert not embedded.exists(data_directory)
    assert not embedded.is_running(data_directory)
    assert not embedded.stop(data_directory)
    url = start_elsewhere(data_directory)
    assert embedded.is_running(data_directory)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table kept (value int)")
        assert connection.execute("show listen_addresses").fetchone() == ("",)
    assert embedded.start(data_directory) == url
    assert embedded.stop(data_directory)
    assert embedded.exists(data_directory)
    assert not embedded.is_running(data_directory)
    assert start_elsewhere(data_directory) == url
    with psycopg.connect(url) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_a_server_keeps_its_directory_to_itself_and_starts_again_in_a_process_that_had_used_it(
    data_directory: Path,
) -> None:
    data_directory.mkdir(mode=0o755)
    url = embedded.start(data_directory)
    # Its owner's alone; root's server runs as another user, who has to pass through. Nobody may look into it.
    assert stat.S_IMODE(data_directory.stat().st_mode) == (0o711 if os.geteuid() == 0 else 0o700)
    assert stat.S_IMODE((data_directory / "postgres").stat().st_mode) == 0o700
    embedded.stop(data_directory)
    assert embedded.start(data_directory) == url
    with psycopg.connect(url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_what_keeps_the_server_from_starting_is_told_in_a_sentence(data_directory: Path) -> None:
    (data_directory / "postgres" / "global").mkdir(parents=True)
    (data_directory / "postgres" / "global" / "pg_control").touch()
    (data_directory / "postgres" / "PG_VERSION").write_text("9\n", encoding="utf-8")  # of an older release
    with pytest.raises(errors.DatabaseUnavailable, match=r"the embedded PostgreSQL in .* does not start: .*its log is"):
        embedded.start(data_directory)


def test_the_process_id_of_a_server_that_died_is_not_taken_for_one_that_runs(data_directory: Path) -> None:
    (data_directory / "postgres").mkdir(parents=True)
    file = data_directory / "postgres" / "postmaster.pid"
    file.write_text(f"{2**22 + 1}\n", encoding="utf-8")  # beyond the largest that Linux gives
    assert not embedded.is_running(data_directory)
    file.write_text("", encoding="utf-8")
    assert not embedded.is_running(data_directory)
