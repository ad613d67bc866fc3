"""Shards: groups of organizations, of which each is a Dagster code location of its own.

A run loads all definitions of its code location before it requests any data. With fewer organizations in a code
location, runs start sooner.
"""

from __future__ import annotations

from dataclasses import dataclass

ORGANIZATIONS_PER_SHARD = 250
"""The largest number of organizations in one code location.

With more organizations, a run would spend more time on loading definitions than on its own work (docs/scale.md).
"""


@dataclass(frozen=True)
class Shard:
    """Every `count`th organization of the configuration, starting with the organization at index `number - 1`."""

    number: int
    """The number of this shard, from 1 to `count`."""
    count: int
    """The total number of shards."""

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"shard {self.number} of {self.count} does not exist: shards are numbered from 1")

    @property
    def is_first(self) -> bool:
        """Whether this shard also contains the assets and sensors that all organizations share."""
        return self.number == 1

    @property
    def name(self) -> str:
        """The name of the attribute of `openai_costs_dagster.shards` that holds the definitions of this shard.

        The name of shard 1 of 10 is ``shard_1_of_10``.
        """
        return f"shard_{self.number}_of_{self.count}"

    def contains(self, index: int) -> bool:
        """Return whether the organization at `index` of the configuration, counted from 0, belongs to this shard."""
        return index % self.count == self.number - 1


WHOLE = Shard(1, 1)
"""The only shard of an installation whose organizations are all in one code location."""


def shards(organizations: int) -> list[Shard]:
    """Return the smallest number of shards of at most `ORGANIZATIONS_PER_SHARD` organizations each, but at least one
    shard.
    """
    # Double negation turns the floor division into a division that rounds up.
    count = max(1, -(-organizations // ORGANIZATIONS_PER_SHARD))
    return [Shard(number, count) for number in range(1, count + 1)]
