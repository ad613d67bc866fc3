"""Shards: the division of very many organizations among several Dagster code locations.

A run loads all definitions of its code location before it requests any data. With fewer organizations in a code
location, runs start sooner.
"""

from __future__ import annotations

from dataclasses import dataclass

ORGANIZATIONS_PER_SHARD = 250
"""The largest number of organizations in one code location. Beyond it, loading takes longer than the run's own work
(docs/scale.md)."""


@dataclass(frozen=True)
class Shard:
    """Every `count`th organization of the configuration, beginning with the one at index `number - 1`."""

    number: int
    """The number of this shard, from 1 to `count`."""
    count: int
    """The number of all shards."""

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"shard {self.number} of {self.count} does not exist: shards are numbered from 1")

    @property
    def is_first(self) -> bool:
        """Whether this shard also holds the assets and sensors that all organizations share."""
        return self.number == 1

    @property
    def name(self) -> str:
        """The attribute of `openai_costs_dagster.shards` that holds the definitions, as in ``shard_1_of_10``."""
        return f"shard_{self.number}_of_{self.count}"

    def contains(self, index: int) -> bool:
        """Return whether the organization at `index` (from 0) of the configuration belongs to this shard."""
        return index % self.count == self.number - 1


WHOLE = Shard(1, 1)
"""The only shard of an installation that is not divided."""


def shards(organizations: int) -> list[Shard]:
    """Return the shards for a number of organizations: as few as `ORGANIZATIONS_PER_SHARD` allows, at least one."""
    count = max(1, -(-organizations // ORGANIZATIONS_PER_SHARD))
    return [Shard(number, count) for number in range(1, count + 1)]
