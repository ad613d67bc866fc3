"""Files that take the place of older ones only when they are whole."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path


class NotWritable(Exception):
    """The file cannot be written where it was asked for; the text is one sentence."""


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place if all goes well. Raises NotWritable.

    What was not there is its owner's alone to read; what was stays as open as it was made. A symbolic link stays one:
    its target is replaced.
    """
    target = _target(path)
    draft = target.with_name(f".openai-costs.{uuid.uuid4().hex[:8]}.part")  # a longer name might not fit
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL, 0o600))
        if target.exists():
            draft.chmod(stat.S_IMODE(target.stat().st_mode))
        yield draft
        draft.replace(target)
    except OSError as error:
        raise NotWritable(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _target(path: Path) -> Path:
    """The file behind a path. A device or a pipe cannot be replaced: root would delete /dev/null."""
    try:
        target = path.resolve()
        is_special = target.exists() and not target.is_file() and not target.is_dir()
    except (OSError, RuntimeError) as error:
        said = error.strerror if isinstance(error, OSError) else "its symbolic links lead back to it"
        raise NotWritable(f"{path} cannot be written: {said}") from None
    if is_special:
        raise NotWritable(f"{path} cannot be written: it is not a regular file")
    return target
