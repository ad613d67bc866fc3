"""Shares each cost row out to the users and API keys that caused it. The shares of a row add up to it.

What the API billed to a user stays with them. Everything else follows the usage that caused it: same day, project,
key and model, and the counter that the line item bills. Where the API tells each user's own totals and not their
projects, the shares meet both sums. What no usage explains stays visible as unallocated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import Final, NamedTuple

import numpy as np

from openai_costs_dagster.cost_records import CostRow
from openai_costs_dagster.records import AllocatedCost, AllocationMethod, LineItem, UserTotal
from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.allocation.allocation_rules import (
    BilledCounter,
    billed_counters,
    counter_value,
    tier_of,
)
from openai_costs_dagster.spend.allocation.proportional_fitting import fit_to_margins
from openai_costs_dagster.spend.allocation.rounding import from_units, scale_of, split_amount, to_units
from openai_costs_dagster.usage_records import UsageRow

BILLED: Final = "billed"
USAGE: Final = "usage"
UNALLOCATED: Final = "unallocated"

TOLERANCE = Decimal("0.02")
"""How much of what was billed may be missing from usage before the rest of an amount counts as unexplained."""

LARGEST_UNEXPLAINED_SPLIT = 10_000
"""The most rows without usage, times users, of one line item that are split by the users' totals alone.

Above it nothing tells which user caused which row, and the shares would be as many as rows times users.
"""

_ZERO = Decimal(0)
_FINEST_COUNT = 6  # decimals of a counter that is no whole number

Weights = Mapping[tuple[str | None, str | None], int]
"""How much of a counter each user and API key caused."""


@dataclass(frozen=True)
class OperationUsage:
    """A row of usage and the operation that counted it."""

    operation: str
    row: UsageRow


ModelNames = Mapping[str, str]
"""The name on the bill of a model by its name in usage, where the two differ."""

Tier = tuple[bool, str | None]
"""Batch or not, and the service tier; (False, None) is the standard one."""


class DayUsage:
    """A day's usage, found by what a line item bills."""

    def __init__(self, rows: Iterable[OperationUsage], names: ModelNames | None = None) -> None:
        names = names or {}
        self._rows: dict[tuple[str, str | None, str | None], list[UsageRow]] = defaultdict(list)
        for one in rows:
            model = one.row.model
            self._rows[one.operation, one.row.project_id, names.get(model, model) if model else model].append(one.row)
            if model is not None:
                self._rows[one.operation, one.row.project_id, None].append(one.row)

    def weights(
        self, meter: BilledCounter, project_id: str | None, through: KeyScope, billed_tiers: frozenset[Tier]
    ) -> Weights:
        """Who caused what a meter counts in a project.

        Cost of the standard tier follows the usage of that tier or, without any, of tiers that the bill does not
        name. The cost of any other tier follows the usage of that tier alone.
        """
        rows = [
            row for operation in meter.operations for row in self._rows.get((operation, project_id, meter.model), ())
        ]
        of_tiers = [[row for row in rows if meter.matches_tier(row)]]
        if meter.is_standard:
            of_tiers.append([row for row in rows if _tier_of(row) not in billed_tiers])
        for of_tier in of_tiers:
            for candidates in through.candidates(of_tier):
                if found := _added_up(candidates, meter.counter):
                    return found
        return {}


class KeyScope(NamedTuple):
    """Which API keys a cost row is about: one, none, or all of its project where the bill does not tell keys."""

    api_key_id: str | None
    by_key: bool
    billed_keys: frozenset[str | None] = frozenset()
    """Keys that have rows of their own beside this one."""

    def candidates(self, rows: Sequence[UsageRow]) -> Iterable[list[UsageRow]]:
        """The rows of usage that fit best, then those that fit less."""
        if not self.by_key:
            yield list(rows)
            return
        yield [row for row in rows if row.api_key_id == self.api_key_id]
        if self.api_key_id is not None:
            yield [row for row in rows if row.api_key_id is None]
        else:
            yield [row for row in rows if row.api_key_id not in self.billed_keys]


@dataclass(frozen=True)
class Allocation:
    """The shares of a day's cost rows."""

    shares: list[AllocatedCost]
    unsplit_line_items: list[str | None]
    """Line items whose rows stay unallocated although each user's total is known: `LARGEST_UNEXPLAINED_SPLIT`."""


def allocate(
    rows: Sequence[CostRow],
    items: Mapping[str | None, LineItem],
    usage: DayUsage,
    *,
    by_user: bool,
    by_key: bool,
    totals: Sequence[UserTotal] | None = None,
) -> Allocation:
    """Shares out one day of an organization.

    `by_user` and `by_key` say how the API billed the day; `totals` are each user's own, where it told them apart.
    """
    work = _Day(rows, items, usage, by_key=by_key)
    shares: list[AllocatedCost] = []
    done: set[int] = set()
    unsplit: set[str | None] = set()
    if totals is not None and not by_user:
        groups = list(_groups(rows, totals))
        unsplit = {group[0].line_item for group, wanted in groups if work.is_too_large(group, wanted)}
        for group, wanted in groups:
            if group[0].line_item not in unsplit:
                shares += work.both_ways(group, wanted)
                done.update(map(id, group))
    for row in rows:
        if id(row) not in done:
            shares += work.one(row)
    return Allocation(shares, sorted(unsplit, key=_id))


class _Day:
    def __init__(
        self, rows: Sequence[CostRow], items: Mapping[str | None, LineItem], usage: DayUsage, *, by_key: bool
    ) -> None:
        self._usage = usage
        self._by_key = by_key
        self._known_weights: dict[tuple[BilledCounter, str | None, KeyScope], Weights] = {}
        self._meters = {
            (row.line_item, row.quantity_unit): billed_counters(items[row.line_item], row.quantity_unit)
            for row in rows
            if row.line_item in items
        }
        billed_tiers: dict[str | None, set[Tier]] = defaultdict(set)
        for meter in chain.from_iterable(self._meters.values()):
            billed_tiers[meter.model].add((meter.batch, meter.tier))
        self._billed_tiers = {model: frozenset(tiers) for model, tiers in billed_tiers.items()}
        self._billed_users: dict[tuple[str | None, str | None, str | None], set[str]] = defaultdict(set)
        for row in rows:
            if row.user_id is not None:
                self._billed_users[row.project_id, row.api_key_id, row.line_item].add(row.user_id)
        self._billed_keys: dict[tuple[str | None, str | None], set[str | None]] = defaultdict(set)
        for row in rows:
            self._billed_keys[row.project_id, row.line_item].add(row.api_key_id)
        self._coverage = self._covered(rows)

    def one(self, row: CostRow) -> list[AllocatedCost]:
        """A row by itself."""
        if row.user_id is not None:
            weights = {} if self._by_key else self._weights(row)
            return self._to_keys(row, row.user_id, row.amount, weights, BILLED)
        weights = self._of_unbilled_users(row)
        if row.amount is None or not weights:
            return [_share(row, None, row.api_key_id, row.amount, UNALLOCATED)]
        explained, rest = self._explained(row, row.amount)
        shares = [
            _share(row, user, self._key(row, key), amount, USAGE) for (user, key), amount in _cut(explained, weights)
        ]
        return shares + ([_share(row, None, row.api_key_id, rest, UNALLOCATED)] if rest else [])

    def is_too_large(self, rows: Sequence[CostRow], totals: Mapping[str | None, Decimal]) -> bool:
        """Whether splitting rows by the users' totals alone, with no usage to guide it, makes too many shares."""
        if len(rows) * len(totals) <= LARGEST_UNEXPLAINED_SPLIT:
            return False
        unexplained = sum(not any(user in totals for user, _ in self._weights(row)) for row in rows)
        return unexplained * len(totals) > LARGEST_UNEXPLAINED_SPLIT

    def both_ways(self, rows: Sequence[CostRow], totals: Mapping[str | None, Decimal]) -> list[AllocatedCost]:
        """The rows of a line item by each user's own total of it."""
        users = sorted(totals, key=_id)
        weights = [self._weights(row) for row in rows]
        prior = np.zeros((len(rows), len(users)))
        for place, of_row in enumerate(weights):
            whole = sum(of_row.values())
            for (user, _), weight in of_row.items():
                if user in totals:
                    prior[place, users.index(user)] += weight / whole
        cells = fit_to_margins([_known(row) for row in rows], [totals[user] for user in users], prior)
        shares: list[AllocatedCost] = []
        for row, of_row, amounts in zip(rows, weights, cells, strict=True):
            for user, amount in zip(users, amounts, strict=True):
                if amount:
                    method: AllocationMethod = (
                        BILLED if user is not None else USAGE if _of_user(of_row, None) else UNALLOCATED
                    )
                    shares += self._to_keys(row, user, amount, of_row, method)
            if not any(amounts):
                shares.append(_share(row, None, row.api_key_id, row.amount, UNALLOCATED))
        return shares

    def _to_keys(
        self, row: CostRow, user: str | None, amount: Decimal | None, weights: Weights, method: AllocationMethod
    ) -> list[AllocatedCost]:
        """A user's part of a row, by key where the row came without one and usage tells."""
        of_user = _of_user(weights, user)
        if amount is None or self._by_key or not of_user:
            return [_share(row, user, row.api_key_id, amount, method)]
        return [_share(row, user, key, part, method) for (_, key), part in _cut(amount, of_user)]

    def _key(self, row: CostRow, counted: str | None) -> str | None:
        """The bill's own word on keys, where it has one."""
        return row.api_key_id if self._by_key else counted

    def _weights(self, row: CostRow) -> Weights:
        billed = frozenset(self._billed_keys[row.project_id, row.line_item] - {row.api_key_id} if self._by_key else ())
        through = KeyScope(row.api_key_id if self._by_key else None, self._by_key, billed)
        for meter in self._meters.get((row.line_item, row.quantity_unit), ()):
            asked = (meter, row.project_id, through)
            if asked not in self._known_weights:
                self._known_weights[asked] = self._usage.weights(*asked, self._billed_tiers[meter.model])
            if self._known_weights[asked]:
                return self._known_weights[asked]
        return {}

    def _of_unbilled_users(self, row: CostRow) -> Weights:
        """Without those whose part of the same work has rows of their own."""
        billed = self._billed_users.get((row.project_id, row.api_key_id, row.line_item), set())
        return {who: weight for who, weight in self._weights(row).items() if who[0] not in billed}

    def _explained(self, row: CostRow, amount: Decimal) -> tuple[Decimal, Decimal]:
        """The part of an amount that usage explains, and the rest."""
        counts, billed = self._coverage.get(self._pool(row), (Decimal(1), Decimal(1)))
        if counts >= billed * (1 - TOLERANCE):
            return amount, _ZERO
        explained, rest = split_amount(amount, [_whole(counts), _whole(billed - counts)])
        return explained, rest

    def _covered(self, rows: Sequence[CostRow]) -> dict[object, tuple[Decimal, Decimal]]:
        """By pool of usage: what it counted, and what all rows that draw on it were billed, in the same unit."""
        billed: dict[object, Decimal | None] = {}
        counts: dict[object, Decimal] = {}
        for row in rows:
            pool = self._pool(row)
            meter = self._first_meter(row)
            units = meter.counter_units_per(row.quantity_unit) if meter else None
            if row.user_id is not None:
                continue
            if pool is None or units is None or row.quantity is None:
                billed[pool] = None  # cannot be compared
                continue
            before = billed.get(pool, _ZERO)
            billed[pool] = None if before is None else before + row.quantity * units
            if pool not in counts:
                weights = self._of_unbilled_users(row)
                counts[pool] = Decimal(sum(weights.values())).scaleb(-_FINEST_COUNT)
        return {pool: (counts[pool], whole) for pool, whole in billed.items() if whole}

    def _pool(self, row: CostRow) -> object:
        meter = self._first_meter(row)
        return (meter, row.project_id, row.api_key_id) if meter else None

    def _first_meter(self, row: CostRow) -> BilledCounter | None:
        return next(iter(self._meters.get((row.line_item, row.quantity_unit), ())), None)


def _groups(
    rows: Sequence[CostRow], totals: Sequence[UserTotal]
) -> Iterable[tuple[list[CostRow], dict[str | None, Decimal]]]:
    """The rows of each line item with the users' totals of it; what the totals lack is nobody's."""
    of_users: dict[tuple[str | None, str | None], dict[str | None, Decimal]] = defaultdict(dict)
    for total in totals:
        known = of_users[total.line_item, total.currency]
        known[total.user_id] = money.add(known.get(total.user_id, _ZERO), total.amount)
    groups: dict[tuple[str | None, str | None], list[CostRow]] = defaultdict(list)
    for row in rows:
        if row.amount is not None and (row.line_item, row.currency) in of_users:
            groups[row.line_item, row.currency].append(row)
    for key, group in groups.items():
        wanted = of_users[key]
        missing = _ZERO
        for row in group:
            missing = money.add(missing, _known(row))
        for amount in wanted.values():
            missing = money.subtract(missing, amount)
        yield group, _balanced(wanted, missing)


def _balanced(wanted: dict[str | None, Decimal], missing: Decimal) -> dict[str | None, Decimal]:
    """Totals that add up to the rows: what they lack is nobody's; what they have too much, read later, is cut off."""
    if missing < 0 and all(amount >= 0 for amount in wanted.values()):
        scale = scale_of([missing, *wanted.values()])
        weights = [to_units(amount, scale) for amount in wanted.values()]
        due = from_units(sum(weights) + to_units(missing, scale), scale)
        if due >= 0:
            return dict(zip(wanted, split_amount(due, weights), strict=True))
    if missing:
        wanted[None] = money.add(wanted.get(None, _ZERO), missing)
    return wanted


def _tier_of(row: UsageRow) -> Tier:
    batch = bool(row.groups.get("batch"))
    return batch, None if batch else tier_of(row)


def _added_up(rows: Iterable[UsageRow], counter: str) -> Weights:
    found: dict[tuple[str | None, str | None], int] = defaultdict(int)
    for row in rows:
        found[row.user_id, row.api_key_id] += _whole(counter_value(row, counter))
    return {who: weight for who, weight in sorted(found.items(), key=lambda one: _ids(one[0])) if weight > 0}


def _whole(count: Decimal) -> int:
    return int(count.scaleb(_FINEST_COUNT))


def _cut(amount: Decimal, weights: Weights) -> list[tuple[tuple[str | None, str | None], Decimal]]:
    shares = list(zip(weights, split_amount(amount, list(weights.values())), strict=True))
    return [(who, share) for who, share in shares if share or not amount]


def _of_user(weights: Weights, user: str | None) -> Weights:
    return {who: weight for who, weight in weights.items() if who[0] == user}


def _share(
    row: CostRow, user: str | None, key: str | None, amount: Decimal | None, method: AllocationMethod
) -> AllocatedCost:
    return AllocatedCost(row.project_id, user, key, row.line_item, row.currency, amount, method)


def _known(row: CostRow) -> Decimal:
    return row.amount if row.amount is not None else _ZERO


def _id(name: str | None) -> tuple[bool, str]:
    return name is not None, name or ""


def _ids(who: tuple[str | None, str | None]) -> tuple[tuple[bool, str], tuple[bool, str]]:
    return _id(who[0]), _id(who[1])
