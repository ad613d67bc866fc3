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
def replaced(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place if all goes well. Raises NotWritable.

    What was not there is its owner's alone to read; what was stays as open as it was made.
    """
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL, 0o600))
        if path.exists():
            draft.chmod(stat.S_IMODE(path.stat().st_mode))
        yield draft
        draft.replace(path)
    except OSError as error:
        raise NotWritable(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
