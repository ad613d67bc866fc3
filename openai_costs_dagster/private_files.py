"""Folders and files that only their owner can read: the data directory and everything in it.

The modes do not depend on the umask. A data directory of an earlier release is tightened when it is next used.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OWNER_ONLY = 0o700
SERVER_MAY_PASS = 0o710
"""The mode of a data directory whose PostgreSQL server runs as another user, who has the group of the directory."""

_OTHERS = 0o077
_SERVER_FOLDER = "postgres"  # The server itself keeps this folder private.
_TREES = ("dagster", "logs", "exports")
_FILES = ("*.json", "*.lock", "workspace.yaml")


def keep_new_files_private() -> None:
    """Make all files private that this process and its child processes create from now on."""
    os.umask(_OTHERS)


def make_private_folder(folder: Path) -> bool:
    """Create a folder and its missing parents with mode 0700. Return whether the folder was created. Raises OSError."""
    try:
        folder.mkdir(mode=OWNER_ONLY)
    except FileNotFoundError:
        make_private_folder(folder.parent)
        return make_private_folder(folder)
    except FileExistsError:
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None
        return False
    return True


def make_data_directory(folder: Path) -> None:
    """Create a data directory with a `.gitignore`, or make an existing one private. Raises OSError."""
    if make_private_folder(folder):
        # The folder is often created in a project that is under version control.
        _write_gitignore(folder)
    # Without access to the folder, nobody can replace a file while the modes of its files change.
    _restrict(folder, SERVER_MAY_PASS if (folder / _SERVER_FOLDER).exists() else OWNER_ONLY)
    for path in (file for pattern in _FILES for file in folder.glob(pattern)):
        _restrict(path)
    for tree in (folder / name for name in _TREES):
        if _is_open_to_others(tree):
            for path in _contents(tree):
                _restrict(path)
            # An interrupted change starts again, because the folder itself is changed last.
            _restrict(tree)


def _write_gitignore(folder: Path) -> None:
    file = folder / ".gitignore"
    try:
        file.touch(mode=0o600)
        file.write_text("*\n", encoding="utf-8")
    except OSError:
        # The next command creates the folder again, for example when the disk is no longer full.
        with suppress(OSError):
            file.unlink(missing_ok=True)
            folder.rmdir()
        raise


def _restrict(path: Path, allowed: int = OWNER_ONLY) -> None:
    """Remove all other permissions from a file or folder of the current user."""
    found = path.lstat()
    mode = stat.S_IMODE(found.st_mode)
    is_ours = found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode)
    if is_ours and mode & _OTHERS & ~allowed:
        path.chmod(mode & (allowed | ~0o777))


def _is_open_to_others(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and bool(folder.stat().st_mode & _OTHERS)


def _contents(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))
