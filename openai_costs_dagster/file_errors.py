"""Messages for files that cannot be written."""

from __future__ import annotations

import errno
import os
from typing import TypeGuard

_REMEDIES = {
    errno.ENOSPC: "the disk is full: free some space, then run the command again",
    errno.EDQUOT: "the disk quota of this user is used up: free some space, then run the command again",
    errno.EROFS: "the file system is read-only: choose another folder, or mount it writable",
}


def reason(error: OSError) -> str:
    """Return the reason of an error, with the remedy for a full disk or a read-only file system."""
    return _REMEDIES.get(error.errno or 0) or error.strerror or str(error)


def remedy_in(message: str) -> str | None:
    """Return the remedy for a full disk or a read-only file system that another program reported, or None."""
    return next((remedy for number, remedy in _REMEDIES.items() if os.strerror(number) in message), None)


def is_disk_failure(error: BaseException) -> TypeGuard[OSError]:
    """Return whether the disk is full or read-only. These errors are not bugs, whichever file they concern."""
    return isinstance(error, OSError) and error.errno in _REMEDIES
