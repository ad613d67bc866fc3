"""Allocates the costs of one day to the users and API keys that caused them. The shares of a cost row add up to the
row.

An amount that OpenAI billed to a user stays with that user. Every other amount is split in proportion to the usage of
the same day, project, API key and model. `allocation_rules.py` determines which usage counter applies to a line item.
If OpenAI reports the total of each user, but not by project, the shares also add up to these totals. An amount without
matching usage is stored as unallocated.
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
"""The largest share of a billed quantity that may be missing from the usage while the whole amount is still allocated.

If more is missing, the amount of the missing quantity stays unallocated.
"""

LARGEST_UNEXPLAINED_SPLIT = 10_000
"""The largest number of cost rows without usage, times users, for which the users' totals alone split a line item.

Without usage, nothing shows which user caused which cost row, so the split stores a share for every row and user. A
line item above this limit stays unallocated, because it would fill the table with arbitrary shares.
"""

_ZERO = Decimal(0)
# the decimals with which counters that are not whole numbers, such as seconds, become integer weights
_COUNTER_DECIMALS = 6

Weights = Mapping[tuple[str | None, str | None], int]
"""The value of a usage counter by user and API key, as an integer number of millionths."""


@dataclass(frozen=True)
class OperationUsage:
    """A row of usage, with the name of the usage endpoint (operation) that returned it."""

    operation: str
    row: UsageRow


ModelNames = Mapping[str, str]
"""The name under which a model is billed, by its name in the usage data, for models with two names."""

Tier = tuple[bool, str | None]
"""A service tier as a pair: whether the work is batch work, and the name of the tier.

(False, None) is the standard tier.
"""


class DayUsage:
    """The usage of one day, indexed by operation, project and model."""

    def __init__(self, rows: Iterable[OperationUsage], names: ModelNames | None = None) -> None:
        names = names or {}
        self._rows: dict[tuple[str, str | None, str | None], list[UsageRow]] = defaultdict(list)
        for used in rows:
            project, model = used.row.project_id, used.row.model
            self._rows[used.operation, project, names.get(model, model) if model else model].append(used.row)
            # The cost of tools, such as web search, is billed without a model and is therefore split by the usage of
            # all models.
            if model is not None:
                self._rows[used.operation, project, None].append(used.row)

    def weights(
        self, counter: BilledCounter, project_id: str | None, scope: KeyScope, billed_tiers: frozenset[Tier]
    ) -> Weights:
        """Return the usage in a project by which the cost of a line item is split, by user and API key.

        The cost of the standard tier is split by usage of the standard tier. Without such usage, it is split by usage
        of the tiers that no line item of the model names. The cost of any other tier is split only by usage of the same
        tier.
        """
        rows = [
            row
            for operation in counter.operations
            for row in self._rows.get((operation, project_id, counter.model), ())
        ]
        of_tiers = [[row for row in rows if counter.matches_tier(row)]]
        if counter.is_standard:
            of_tiers.append([row for row in rows if _tier_of(row) not in billed_tiers])
        for of_tier in of_tiers:
            for candidates in scope.candidates(of_tier):
                if found := _sum_by_user_and_key(candidates, counter.counter):
                    return found
        return {}


class KeyScope(NamedTuple):
    """The API keys whose usage may explain a cost row: one key, no key, or all keys of the project."""

    api_key_id: str | None
    by_key: bool
    """Whether OpenAI's costs of the day are grouped by API key."""
    billed_keys: frozenset[str | None] = frozenset()
    """API keys that have cost rows of their own for the same project and line item."""

    def candidates(self, rows: Sequence[UsageRow]) -> Iterable[list[UsageRow]]:
        """Yield rows of usage that may explain a cost row, the best candidates first.

        The best candidate is the usage of the API key of the cost row. If the costs are not grouped by API key, all
        rows are candidates.
        """
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
    """The allocated costs of one day."""

    shares: list[AllocatedCost]
    unsplit_line_items: list[str | None]
    """Line items that stay unallocated although each user's total is known, because of `LARGEST_UNEXPLAINED_SPLIT`."""


def allocate(
    rows: Sequence[CostRow],
    items: Mapping[str | None, LineItem],
    usage: DayUsage,
    *,
    by_user: bool,
    by_key: bool,
    totals: Sequence[UserTotal] | None = None,
) -> Allocation:
    """Allocate the cost rows of one day of an organization.

    `items` contains the classification of each line item. `by_user` and `by_key` state whether OpenAI grouped the costs
    by user and by API key. `totals` contains the total of each user over all projects, or is None if OpenAI does not
    report it.
    """
    allocator = _DayAllocator(rows, items, usage, by_key=by_key)
    shares: list[AllocatedCost] = []
    allocated: set[int] = set()  # Two rows may be equal, so allocated rows are remembered by their identity.
    unsplit: set[str | None] = set()
    if totals is not None and not by_user:
        groups = list(_group_by_line_item(rows, totals))
        unsplit = {group[0].line_item for group, user_totals in groups if allocator.is_too_large(group, user_totals)}
        for group, user_totals in groups:
            if group[0].line_item not in unsplit:
                shares += allocator.fit_to_user_totals(group, user_totals)
                allocated.update(map(id, group))
    for row in rows:
        if id(row) not in allocated:
            shares += allocator.allocate_row(row)
    return Allocation(shares, sorted(unsplit, key=_sort_key))


class _DayAllocator:
    """The cost rows and the usage of one day, with indexes and a cache of the weights."""

    def __init__(
        self, rows: Sequence[CostRow], items: Mapping[str | None, LineItem], usage: DayUsage, *, by_key: bool
    ) -> None:
        self._usage = usage
        self._by_key = by_key
        self._cached_weights: dict[tuple[BilledCounter, str | None, KeyScope], Weights] = {}
        self._counters = {
            (row.line_item, row.quantity_unit): billed_counters(items[row.line_item], row.quantity_unit)
            for row in rows
            if row.line_item in items
        }
        billed_tiers: dict[str | None, set[Tier]] = defaultdict(set)
        for counter in chain.from_iterable(self._counters.values()):
            billed_tiers[counter.model].add((counter.batch, counter.tier))
        self._billed_tiers = {model: frozenset(tiers) for model, tiers in billed_tiers.items()}
        self._billed_users: dict[tuple[str | None, str | None, str | None], set[str]] = defaultdict(set)
        for row in rows:
            if row.user_id is not None:
                self._billed_users[row.project_id, row.api_key_id, row.line_item].add(row.user_id)
        self._billed_keys: dict[tuple[str | None, str | None], set[str | None]] = defaultdict(set)
        for row in rows:
            self._billed_keys[row.project_id, row.line_item].add(row.api_key_id)
        self._coverage = self._measure_coverage(rows)

    def allocate_row(self, row: CostRow) -> list[AllocatedCost]:
        """Allocate one cost row to the user whom OpenAI billed, or in proportion to usage."""
        if row.user_id is not None:
            weights = {} if self._by_key else self._weights(row)
            return self._split_by_key(row, row.user_id, row.amount, weights, BILLED)
        weights = self._of_unbilled_users(row)
        if row.amount is None or not weights:
            return [_share(row, None, row.api_key_id, row.amount, UNALLOCATED)]
        explained, rest = self._explained(row, row.amount)
        shares = [
            _share(row, user, self._key(row, key), amount, USAGE) for (user, key), amount in _split(explained, weights)
        ]
        return shares + ([_share(row, None, row.api_key_id, rest, UNALLOCATED)] if rest else [])

    def is_too_large(self, rows: Sequence[CostRow], totals: Mapping[str | None, Decimal]) -> bool:
        """Return whether a split of a line item by the users' totals would store too many shares that no usage
        explains.
        """
        if len(rows) * len(totals) <= LARGEST_UNEXPLAINED_SPLIT:
            return False
        unexplained = sum(not any(user in totals for user, _ in self._weights(row)) for row in rows)
        return unexplained * len(totals) > LARGEST_UNEXPLAINED_SPLIT

    def fit_to_user_totals(self, rows: Sequence[CostRow], totals: Mapping[str | None, Decimal]) -> list[AllocatedCost]:
        """Allocate the rows of a line item so that the shares of each user add up to the user's total."""
        users = sorted(totals, key=_sort_key)
        weights = [self._weights(row) for row in rows]
        prior = np.zeros((len(rows), len(users)))
        for number, row_weights in enumerate(weights):
            row_total = sum(row_weights.values())
            for (user, _), weight in row_weights.items():
                if user in totals:
                    prior[number, users.index(user)] += weight / row_total
        cells = fit_to_margins([_amount(row) for row in rows], [totals[user] for user in users], prior)
        shares: list[AllocatedCost] = []
        for row, row_weights, amounts in zip(rows, weights, cells, strict=True):
            for user, amount in zip(users, amounts, strict=True):
                if amount:
                    method: AllocationMethod = (
                        BILLED if user is not None else USAGE if _of_user(row_weights, None) else UNALLOCATED
                    )
                    shares += self._split_by_key(row, user, amount, row_weights, method)
            if not any(amounts):
                shares.append(_share(row, None, row.api_key_id, row.amount, UNALLOCATED))
        return shares

    def _split_by_key(
        self, row: CostRow, user: str | None, amount: Decimal | None, weights: Weights, method: AllocationMethod
    ) -> list[AllocatedCost]:
        """Split a user's share of a cost row by the API keys in the user's usage, if the row has no API key."""
        of_user = _of_user(weights, user)
        if amount is None or self._by_key or not of_user:
            return [_share(row, user, row.api_key_id, amount, method)]
        return [_share(row, user, key, share, method) for (_, key), share in _split(amount, of_user)]

    def _key(self, row: CostRow, counted_key: str | None) -> str | None:
        """Return the billed API key if the costs are grouped by API key, or else the API key of the usage."""
        return row.api_key_id if self._by_key else counted_key

    def _weights(self, row: CostRow) -> Weights:
        """Return the usage by which a cost row is split.

        A line item may have several possible counters. The first counter with any usage applies.
        """
        billed = frozenset(self._billed_keys[row.project_id, row.line_item] - {row.api_key_id} if self._by_key else ())
        scope = KeyScope(row.api_key_id if self._by_key else None, self._by_key, billed)
        for counter in self._counters.get((row.line_item, row.quantity_unit), ()):
            key = (counter, row.project_id, scope)
            if key not in self._cached_weights:
                self._cached_weights[key] = self._usage.weights(*key, self._billed_tiers[counter.model])
            if self._cached_weights[key]:
                return self._cached_weights[key]
        return {}

    def _of_unbilled_users(self, row: CostRow) -> Weights:
        """Return the usage by which a cost row is split, without the users who have cost rows of their own.

        Only cost rows of the same project, API key and line item exclude a user.
        """
        billed = self._billed_users.get((row.project_id, row.api_key_id, row.line_item), set())
        return {(user, key): weight for (user, key), weight in self._weights(row).items() if user not in billed}

    def _explained(self, row: CostRow, amount: Decimal) -> tuple[Decimal, Decimal]:
        """Split the amount of a cost row into the part that is covered by usage and the rest."""
        counted, billed = self._coverage.get(self._pool(row), (Decimal(1), Decimal(1)))
        if counted >= billed * (1 - TOLERANCE):
            return amount, _ZERO
        explained, rest = split_amount(amount, [_to_integer(counted), _to_integer(billed - counted)])
        return explained, rest

    def _measure_coverage(self, rows: Sequence[CostRow]) -> dict[object, tuple[Decimal, Decimal]]:
        """Return the counted and the billed quantity for each group of cost rows that are split by the same usage.

        The quantities are in the unit of the usage counter. If a group is billed for more than its usage, part of each
        row in the group stays unallocated.
        """
        billed: dict[object, Decimal | None] = {}
        counted: dict[object, Decimal] = {}
        for row in rows:
            pool = self._pool(row)
            counter = self._first_counter(row)
            factor = counter.counter_units_per(row.quantity_unit) if counter else None
            if row.user_id is not None:
                continue
            if pool is None or factor is None or row.quantity is None:
                # If a row of the group has no quantity, the billed quantity of the whole group is unknown.
                billed[pool] = None
                continue
            before = billed.get(pool, _ZERO)
            billed[pool] = None if before is None else before + row.quantity * factor
            if pool not in counted:
                weights = self._of_unbilled_users(row)
                counted[pool] = Decimal(sum(weights.values())).scaleb(-_COUNTER_DECIMALS)
        return {pool: (counted[pool], quantity) for pool, quantity in billed.items() if quantity}

    def _pool(self, row: CostRow) -> object:
        """Return the key of the usage by which a cost row is split, or None if no counter measures the line item."""
        counter = self._first_counter(row)
        return (counter, row.project_id, row.api_key_id) if counter else None

    def _first_counter(self, row: CostRow) -> BilledCounter | None:
        return next(iter(self._counters.get((row.line_item, row.quantity_unit), ())), None)


def _group_by_line_item(
    rows: Sequence[CostRow], totals: Sequence[UserTotal]
) -> Iterable[tuple[list[CostRow], dict[str | None, Decimal]]]:
    """Yield the rows of each line item and currency, with the users' totals adjusted to the sum of the rows."""
    totals_by_item: dict[tuple[str | None, str | None], dict[str | None, Decimal]] = defaultdict(dict)
    for total in totals:
        by_user = totals_by_item[total.line_item, total.currency]
        by_user[total.user_id] = money.add(by_user.get(total.user_id, _ZERO), total.amount)
    groups: dict[tuple[str | None, str | None], list[CostRow]] = defaultdict(list)
    for row in rows:
        if row.amount is not None and (row.line_item, row.currency) in totals_by_item:
            groups[row.line_item, row.currency].append(row)
    for key, group in groups.items():
        user_totals = totals_by_item[key]
        missing = _ZERO
        for row in group:
            missing = money.add(missing, _amount(row))
        for amount in user_totals.values():
            missing = money.subtract(missing, amount)
        yield group, _adjust_totals(user_totals, missing)


def _adjust_totals(user_totals: dict[str | None, Decimal], missing: Decimal) -> dict[str | None, Decimal]:
    """Return the users' totals, adjusted so that they add up to the cost rows.

    `missing` is the sum of the rows less the sum of the totals. A positive difference is added under None, because it
    belongs to no user. A negative difference means that OpenAI returned the totals after further costs were added, so
    the totals are reduced in proportion.
    """
    if missing < 0 and all(amount >= 0 for amount in user_totals.values()):
        scale = scale_of([missing, *user_totals.values()])
        weights = [to_units(amount, scale) for amount in user_totals.values()]
        row_sum = from_units(sum(weights) + to_units(missing, scale), scale)
        if row_sum >= 0:
            return dict(zip(user_totals, split_amount(row_sum, weights), strict=True))
    if missing:
        user_totals[None] = money.add(user_totals.get(None, _ZERO), missing)
    return user_totals


def _tier_of(row: UsageRow) -> Tier:
    batch = bool(row.groups.get("batch"))
    return batch, None if batch else tier_of(row)


def _sum_by_user_and_key(rows: Iterable[UsageRow], counter: str) -> Weights:
    found: dict[tuple[str | None, str | None], int] = defaultdict(int)
    for row in rows:
        found[row.user_id, row.api_key_id] += _to_integer(counter_value(row, counter))
    # The API may return usage rows in any order. Sorting ensures that the rounding of shares does not depend on this
    # order.
    return {key: weight for key, weight in sorted(found.items(), key=lambda item: _sort_keys(item[0])) if weight > 0}


def _to_integer(count: Decimal) -> int:
    return int(count.scaleb(_COUNTER_DECIMALS))


def _split(amount: Decimal, weights: Weights) -> list[tuple[tuple[str | None, str | None], Decimal]]:
    shares = list(zip(weights, split_amount(amount, list(weights.values())), strict=True))
    return [(key, share) for key, share in shares if share or not amount]


def _of_user(weights: Weights, user: str | None) -> Weights:
    return {key: weight for key, weight in weights.items() if key[0] == user}


def _share(
    row: CostRow, user: str | None, key: str | None, amount: Decimal | None, method: AllocationMethod
) -> AllocatedCost:
    return AllocatedCost(row.project_id, user, key, row.line_item, row.currency, amount, method)


def _amount(row: CostRow) -> Decimal:
    return row.amount if row.amount is not None else _ZERO


def _sort_key(name: str | None) -> tuple[bool, str]:
    """Return a sort key that sorts None before all names."""
    return name is not None, name or ""


def _sort_keys(key: tuple[str | None, str | None]) -> tuple[tuple[bool, str], tuple[bool, str]]:
    return _sort_key(key[0]), _sort_key(key[1])
