"""Replaces files atomically: another process sees either the old file or the complete new file."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from openai_costs_dagster.file_errors import reason


class NotWritable(Exception):
    """Raised if a file cannot be written. The message is one sentence with the path and the reason."""


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary file in the folder of `path`, and rename it to `path` when the `with` block succeeds.

    A new file is readable only by its owner (mode 0600). An existing file keeps its permissions. If `path` is a
    symbolic link, the link stays and its target is replaced. If the block fails, `path` does not change. Raises
    `NotWritable` if the file cannot be written.
    """
    target = _resolve_target(path)
    # The temporary name is short and does not contain the name of the target, which may already have the maximum
    # length.
    draft = target.with_name(f".openai-costs.{uuid.uuid4().hex[:8]}.part")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL, 0o600))
        if target.exists():
            draft.chmod(stat.S_IMODE(target.stat().st_mode))
        yield draft
        draft.replace(target)
    except OSError as error:
        raise NotWritable(f"{path} cannot be written: {reason(error)}") from None
    finally:
        # After a successful rename, the temporary file does not exist. An error on its removal must not hide the error
        # of the block.
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _resolve_target(path: Path) -> Path:
    """Return the file to which a path leads, through symbolic links. Raises `NotWritable` for devices and pipes.

    Renaming a file over a device would delete the device: a process of root would replace /dev/null by a regular file.
    """
    try:
        target = path.resolve()
        is_special = target.exists() and not target.is_file() and not target.is_dir()
    except (OSError, RuntimeError) as error:
        # Python 3.11 and 3.12 raise RuntimeError for a loop of symbolic links, and later versions raise OSError.
        problem = error.strerror if isinstance(error, OSError) else "its symbolic links form a loop"
        raise NotWritable(f"{path} cannot be written: {problem}") from None
    if is_special:
        raise NotWritable(f"{path} cannot be written: it is not a regular file")
    return target
