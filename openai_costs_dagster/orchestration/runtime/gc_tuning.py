"""Settings of Python's garbage collector for processes that keep Dagster's definitions loaded."""

from __future__ import annotations

import gc

_ALLOCATIONS_PER_COLLECTION = 50_000


def freeze_loaded_objects() -> None:
    """Exclude all objects that exist now from garbage collection, and run the garbage collector less often.

    Definitions are never freed before their process ends. By default, the garbage collector traverses them again and
    again, which takes a fifth of the time of loading definitions and of a run.
    """
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION)
