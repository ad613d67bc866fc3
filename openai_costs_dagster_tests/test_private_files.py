"""Tests of the file permissions of the data directory and its files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from openai_costs_dagster.private_files import make_data_directory


@pytest.fixture(params=[0o000, 0o022, 0o077])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def _modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*")}


@pytest.mark.usefixtures("_umask")
def test_new_data_directory_is_private_and_ignored_by_git(tmp_path: Path) -> None:
    make_data_directory(tmp_path / "a" / "b" / "data")
    make_data_directory(tmp_path / "a" / "b" / "data")
    assert _modes(tmp_path) == {"a": 0o700, "a/b": 0o700, "a/b/data": 0o700, "a/b/data/.gitignore": 0o600}
    assert (tmp_path / "a" / "b" / "data" / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_permissions_in_a_data_directory_of_an_earlier_release_are_restricted(tmp_path: Path) -> None:
    data, outside = tmp_path / "data", tmp_path / "outside"
    outside.write_text("", encoding="utf-8")
    outside.chmod(0o666)
    names = ("dagster/dagster.yaml", "dagster/storage/run/compute_logs/a.err", "logs/openai-costs.log", "up.json", "x")
    for name in names:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text("", encoding="utf-8")
        (data / name).chmod(0o666)
    for folder in (data, *(path for path in data.rglob("*") if path.is_dir())):
        folder.chmod(0o777)
    (data / "logs" / "link").symlink_to(outside)
    (data / "exports").symlink_to(outside)
    make_data_directory(data)
    private = {name: mode for name, mode in _modes(data).items() if name != "exports" and not name.endswith("link")}
    # A file that this package did not create keeps its permissions, because another program may use the file.
    assert {name for name, mode in private.items() if mode & 0o077} == {"x"}
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert stat.S_IMODE(outside.stat().st_mode) == 0o666
    assert not (data / ".gitignore").exists()


def test_file_in_place_of_the_data_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(NotADirectoryError):
        make_data_directory(tmp_path / "data")


def test_data_directory_on_a_full_disk_is_created_by_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full_disk:
        full_disk.setattr(Path, "write_text", fail)
        with pytest.raises(OSError, match="No space left"):
            make_data_directory(tmp_path / "data")
    assert list(tmp_path.iterdir()) == []
    make_data_directory(tmp_path / "data")
    assert (tmp_path / "data" / ".gitignore").read_text(encoding="utf-8") == "*\n"
