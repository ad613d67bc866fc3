"""Shares of very many organizations, each for a code location of its own.

A run loads all definitions of its code location before it reads its organization: the fewer these are, the less it
waits.
"""

from __future__ import annotations

from dataclasses import dataclass

ORGANIZATIONS_OF_A_PART = 250
"""More than these in one code location make every run load longer than it reads (docs/scale.md)."""


@dataclass(frozen=True)
class Part:
    """The `number`th of `count` parts, from 1 on: every `count`th organization by its place in the configuration."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"there is no part {self.number} of {self.count}: parts are counted from 1")

    @property
    def is_first(self) -> bool:
        """The first one has what all organizations share."""
        return self.number == 1

    @property
    def name(self) -> str:
        """As it is asked for: `openai_costs_dagster.shards` has an attribute of this name."""
        return f"part_{self.number}_of_{self.count}"

    def holds(self, place: int) -> bool:
        """Whether the organization at a place, from 0 on, is in it."""
        return place % self.count == self.number - 1


WHOLE = Part(1, 1)


def parts(organizations: int) -> list[Part]:
    """Into how many code locations a number of organizations is best divided."""
    count = max(1, -(-organizations // ORGANIZATIONS_OF_A_PART))
    return [Part(number, count) for number in range(1, count + 1)]
