"""Allocates each day's stored costs to users and API keys in proportion to stored usage. Sends no request to OpenAI.

`spend/allocation/` defines the rules of the allocation. This module loads a day's costs, its usage and the total of
each user, applies the rules, and stores the allocated costs, which the view `allocated_costs` shows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from openai_costs_dagster.cost_records import US_DOLLARS, CostRow, parse_grouping
from openai_costs_dagster.records import LineItem, UserTotal
from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.allocation.allocate import UNALLOCATED, DayUsage, OperationUsage, allocate
from openai_costs_dagster.spend.allocation.usage_reconciliation import TokenDifference, token_differences
from openai_costs_dagster.spend.line_items import classify
from openai_costs_dagster.warehouse import allocations, line_items, usage
from openai_costs_dagster.warehouse.allocations import DayAllocation, SyncedDay
from openai_costs_dagster.warehouse.database import Connection

_DAYS_PER_BATCH = 14  # Days are loaded in batches, because all rows of a long range may not fit into memory.
_ZERO = Decimal(0)


@dataclass(frozen=True)
class AllocatedDay:
    """The result of allocating the costs of one day. Amounts are in US dollars.

    Amounts are gross sums: a credit counts with its absolute amount, so that it does not hide an equally large cost.
    """

    shares: int
    """The number of allocated rows that were stored for the day."""
    gross_usd: Decimal
    to_users_usd: Decimal
    to_keys_usd: Decimal
    unallocated_usd: Decimal
    provisional: bool
    differences: Sequence[TokenDifference]
    """The models for which the number of billed tokens differs from the number of tokens in the stored usage."""
    has_usage: bool
    unsplit_line_items: Sequence[str | None]
    """The line items whose costs stay unallocated although OpenAI reported each user's total for the line item."""


@dataclass
class AllocationOutcome:
    """The result of a call of `allocate_days`; every requested day is either in `days` or in `skipped`."""

    days: dict[dt.date, AllocatedDay] = field(default_factory=dict)
    skipped: dict[dt.date, str] = field(default_factory=dict)
    """The days that were not allocated, each with the reason.

    For these days, the view `allocated_costs` shows the costs as OpenAI billed them.
    """
    unreconciled: list[dt.date] = field(default_factory=list)
    """The days in `skipped` whose stored cost rows do not add up to the total that OpenAI billed for the day."""


def allocate_days(
    connection: Connection, organization: str, days: Iterable[dt.date], now: dt.datetime
) -> AllocationOutcome:
    """Allocate the stored costs of `days` to users and API keys, and replace the stored allocation of these days.

    Raises a `WarehouseError` if the database fails. Allocations that were stored before the failure stay stored.
    """
    outcome, ordered = AllocationOutcome(), sorted(days)
    for start in range(0, len(ordered), _DAYS_PER_BATCH):
        _allocate_batch(connection, organization, ordered[start : start + _DAYS_PER_BATCH], outcome, now)
    return outcome


def _allocate_batch(
    connection: Connection,
    organization: str,
    days: Sequence[dt.date],
    outcome: AllocationOutcome,
    now: dt.datetime,
) -> None:
    synced = {day.usage_date: day for day in allocations.synced_days(connection, organization, days)}
    results: dict[dt.date, DayAllocation] = {}
    for day, inputs in _load(connection, organization, days):
        synced_day = synced.get(day)
        if synced_day is None:
            outcome.skipped[day] = "its costs are not stored"
        elif synced_day.reconciled is False and not synced_day.provisional:
            # Costs of a provisional day may still change, so a difference from the billed total is accepted there. On a
            # settled day, a difference is an error, and allocating the rows would spread wrong amounts.
            outcome.skipped[day] = "its rows do not add up to the total that the API bills"
            outcome.unreconciled.append(day)
        else:
            results[day] = _allocate(synced_day, inputs)
            outcome.days[day] = _report(synced_day, inputs, results[day])
    allocations.store(connection, organization, results, now)


@dataclass(frozen=True)
class _DayInputs:
    """The stored rows of one day from which its costs are allocated: costs, usage, and the total of each user."""

    costs: Sequence[CostRow]
    line_items: Mapping[str | None, LineItem]
    """The classification (service, model and so on) of each line item label in `costs`."""
    usage: Sequence[OperationUsage]
    totals: Sequence[UserTotal] | None
    """The total of each user by line item, or None if no totals of users are stored for the day."""
    model_names: Mapping[str, str]
    """The name of a model in the costs, by the name of the same model in the usage, if the two names differ."""


def _load(connection: Connection, organization: str, days: Sequence[dt.date]) -> Iterator[tuple[dt.date, _DayInputs]]:
    costs = allocations.costs(connection, organization, days)
    totals = allocations.user_costs(connection, organization, days)
    names = allocations.model_names(connection, organization, days)
    counted: dict[dt.date, list[OperationUsage]] = {}
    # Days without usage are missing from `counted`. The costs of such a day can only be allocated by the totals that
    # OpenAI reported for each user.
    for stored in usage.rows_of_days(connection, organization, days):
        counted.setdefault(stored.usage_date, []).append(OperationUsage(stored.operation, stored.row))
    classified = _classifications(connection, (row for rows in costs.values() for row in rows))
    for day in days:
        yield (
            day,
            _DayInputs(costs.get(day, []), classified, counted.get(day, []), totals.get(day), names.get(day, {})),
        )


def _classifications(connection: Connection, rows: Iterable[CostRow]) -> dict[str | None, LineItem]:
    """Return the classification of each line item label in `rows`, by label.

    Stored classifications come from the table `line_items`. Missing labels and labels longer than `MAX_KEY_LENGTH` have
    no row in this table, so they are classified again on each call.
    """
    labels = {row.line_item for row in rows}
    stored = line_items.find(connection, (label for label in labels if label is not None))
    return {label: stored[label] if label in stored else classify(label) for label in labels}


def _allocate(synced_day: SyncedDay, inputs: _DayInputs) -> DayAllocation:
    allocation = allocate(
        inputs.costs,
        inputs.line_items,
        DayUsage(inputs.usage, inputs.model_names),
        # If the query grouped by users, a row without a user was billed to no user. If the query did not group by
        # users, the user of the row is unknown, and usage decides to which users the row is allocated.
        by_user="user_id" in parse_grouping(synced_day.grouping),
        by_key="api_key_id" in parse_grouping(synced_day.grouping),
        totals=inputs.totals,
    )
    # Amounts in different currencies cannot be added, so the sums of a day contain only the rows in US dollars.
    dollars = [share for share in allocation.shares if share.currency == US_DOLLARS]
    return DayAllocation(
        synced_day.sync_window_id,
        allocation.shares,
        gross_usd=_gross(share.amount for share in dollars),
        to_users_usd=_gross(share.amount for share in dollars if share.user_id is not None),
        to_keys_usd=_gross(share.amount for share in dollars if share.api_key_id is not None),
        unsplit_line_items=allocation.unsplit_line_items,
    )


def _report(synced_day: SyncedDay, inputs: _DayInputs, result: DayAllocation) -> AllocatedDay:
    return AllocatedDay(
        shares=len(result.shares),
        gross_usd=result.gross_usd,
        to_users_usd=result.to_users_usd,
        to_keys_usd=result.to_keys_usd,
        unallocated_usd=_gross(
            share.amount for share in result.shares if share.currency == US_DOLLARS and share.method == UNALLOCATED
        ),
        provisional=synced_day.provisional,
        differences=token_differences(inputs.costs, inputs.line_items, inputs.usage, inputs.model_names),
        has_usage=bool(inputs.usage),
        unsplit_line_items=result.unsplit_line_items,
    )


def _gross(amounts: Iterable[Decimal | None]) -> Decimal:
    """Return the exact sum of the absolute values of `amounts`. A missing amount counts as zero."""
    total = _ZERO
    for amount in amounts:
        if amount is not None:
            # `abs()` would round the amount to the 28 digits of Python's default decimal context.
            total = money.add(total, amount.copy_abs())
    return total
