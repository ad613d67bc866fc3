"""Files that take the place of older ones only when they are whole."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path


class NotWritable(Exception):
    """The file cannot be written where it was asked for; the text is one sentence."""


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to, which takes its place if all goes well. Raises NotWritable."""
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        raise NotWritable(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
