"""Tests of the atomic replacement of files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from openai_costs_dagster.report.atomic_file import NotWritable, atomic_write


def _write(path: Path, text: str = "new") -> None:
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", ["a b", "it's", 'q"uote', "100%", "#?&;$`", "back\\slash", "\u00e4\u65e5", "x" * 255])
def test_file_with_an_unusual_name_is_written(tmp_path: Path, name: str) -> None:
    _write(tmp_path / name)
    assert [(file.name, file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()] == [(name, "new")]


def test_relative_path_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _write(Path("report.html"))
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize("exists", [True, False])
def test_symbolic_link_stays_and_its_target_is_replaced(tmp_path: Path, exists: bool) -> None:
    (tmp_path / "public").mkdir()
    target, link = tmp_path / "public" / "report.html", tmp_path / "report.html"
    if exists:
        target.write_text("old", encoding="utf-8")
    link.symlink_to(target)
    _write(link)
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"
    assert list(target.parent.iterdir()) == [target]


def test_device_and_pipe_are_refused_and_unchanged(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for special in (Path("/dev/null"), pipe):
        with pytest.raises(NotWritable, match=r"cannot be written: it is not a regular file$"):
            _write(special)
    assert Path("/dev/null").is_char_device()
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x" * 256, "File name too long"),
        ("missing/report.html", "No such file or directory"),
        ("file/report.html", "Not a directory"),
        ("folder", "Is a directory"),
        ("loop", "its symbolic links form a loop|Too many levels of symbolic links"),
    ],
)
def test_unwritable_path_is_reported_in_one_sentence(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(NotWritable, match=f"cannot be written: ({reason})$"):
        _write(tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "the disk is full: free some space"),
        (errno.EDQUOT, "the disk quota of this user is used up: free some space"),
        (errno.EROFS, "the file system is read-only: choose another folder"),
    ],
)
def test_full_disk_keeps_the_old_file_and_names_the_remedy(tmp_path: Path, number: int, remedy: str) -> None:
    file = tmp_path / "report.html"
    file.write_text("old", encoding="utf-8")

    def fill(draft: Path) -> None:
        draft.write_text("ne", encoding="utf-8")
        raise OSError(number, os.strerror(number))

    with pytest.raises(NotWritable, match=f"report.html cannot be written: {remedy}"), atomic_write(file) as draft:
        fill(draft)
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("report.html", "old")]
