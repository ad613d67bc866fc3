"""Python's garbage collector in processes of ours that load definitions and keep them."""

from __future__ import annotations

import gc

_ALLOCATIONS_PER_COLLECTION = 50_000


def spare_the_collector() -> None:
    """What is loaded by now stays: walking all of it again and again took a fifth of a load's time, or of a run's."""
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION)
