"""Atomic replacement of files: a reader sees the old file or the complete new one."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from openai_costs_dagster.file_errors import reason


class NotWritable(Exception):
    """A file that cannot be written at the given path. The message is one sentence with the reason."""


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary file in the folder of `path` and rename it to `path` when the block succeeds.

    A new file is readable only by its owner (mode 0600). An existing file keeps its permissions. If `path` is a
    symbolic link, the link stays and its target is replaced. If the block fails, `path` is unchanged.
    Raises `NotWritable`.
    """
    target = _resolve_target(path)
    # The temporary name is short and independent of the target's, which may already have the maximum length.
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
        # After a successful rename the draft no longer exists. Its removal must not hide the original error.
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _resolve_target(path: Path) -> Path:
    """Return the file that a path leads to. Raises `NotWritable` for devices and pipes.

    Renaming over a device would delete it: a process of root would replace /dev/null by a regular file.
    """
    try:
        target = path.resolve()
        is_special = target.exists() and not target.is_file() and not target.is_dir()
    except (OSError, RuntimeError) as error:
        # Python 3.11 and 3.12 raise RuntimeError for a loop of symbolic links, later versions OSError.
        problem = error.strerror if isinstance(error, OSError) else "its symbolic links form a loop"
        raise NotWritable(f"{path} cannot be written: {problem}") from None
    if is_special:
        raise NotWritable(f"{path} cannot be written: it is not a regular file")
    return target
