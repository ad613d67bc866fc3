"""Allocates stored costs to users and API keys by stored usage, day by day; sends no request to OpenAI.

`spend/allocation/` holds the rules. This module loads a day's costs, usage and users' totals, applies the rules and
stores the result for the view `allocated_costs`.
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

_DAYS_PER_BATCH = 14  # days loaded at once; limits memory use
_ZERO = Decimal(0)


@dataclass(frozen=True)
class AllocatedDay:
    """The result of one day. Amounts are in US dollars and gross: credits count with their absolute amount."""

    shares: int
    """Number of stored rows."""
    gross_usd: Decimal
    to_users_usd: Decimal
    to_keys_usd: Decimal
    unallocated_usd: Decimal
    provisional: bool
    differences: Sequence[TokenDifference]
    """Models whose billed number of tokens differs from the number that the usage endpoints counted."""
    has_usage: bool
    unsplit_line_items: Sequence[str | None]
    """Line items whose rows stay unallocated although the total of each user is known."""


@dataclass
class AllocationOutcome:
    """The result of a call of `allocate_days`; every requested day is either in `days` or in `skipped`."""

    days: dict[dt.date, AllocatedDay] = field(default_factory=dict)
    skipped: dict[dt.date, str] = field(default_factory=dict)
    """Days that were not allocated, with the reason. The view shows their costs as OpenAI billed them."""
    unreconciled: list[dt.date] = field(default_factory=list)
    """Skipped days whose costs are stored but do not add up to the billed total."""


def allocate_days(
    connection: Connection, organization: str, days: Iterable[dt.date], now: dt.datetime
) -> AllocationOutcome:
    """Allocate the costs of the days and replace what is stored for them.

    Raises a `WarehouseError` if the database fails; the batches of days before the failure stay stored.
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
            # Costs of a provisional day are expected to change; a settled day that does not add up is an error.
            outcome.skipped[day] = "its rows do not add up to the total that the API bills"
            outcome.unreconciled.append(day)
        else:
            results[day] = _allocate(synced_day, inputs)
            outcome.days[day] = _report(synced_day, inputs, results[day])
    allocations.store(connection, organization, results, now)


@dataclass(frozen=True)
class _DayInputs:
    """The stored rows of one day."""

    costs: Sequence[CostRow]
    line_items: Mapping[str | None, LineItem]
    """The classification of each label in `costs`."""
    usage: Sequence[OperationUsage]
    totals: Sequence[UserTotal] | None
    """The total of each user by line item, or None on days for which OpenAI does not report totals."""
    model_names: Mapping[str, str]
    """The name on the bill by the name in the usage, for models whose two names differ."""


def _load(connection: Connection, organization: str, days: Sequence[dt.date]) -> Iterator[tuple[dt.date, _DayInputs]]:
    costs = allocations.costs(connection, organization, days)
    totals = allocations.user_costs(connection, organization, days)
    names = allocations.model_names(connection, organization, days)
    counted: dict[dt.date, list[OperationUsage]] = {}
    # Days without usage are missing from `counted`. Their costs are allocated by the totals of the users, if any.
    for stored in usage.rows_of_days(connection, organization, days):
        counted.setdefault(stored.usage_date, []).append(OperationUsage(stored.operation, stored.row))
    classified = _classifications(connection, (row for rows in costs.values() for row in rows))
    for day in days:
        yield (
            day,
            _DayInputs(costs.get(day, []), classified, counted.get(day, []), totals.get(day), names.get(day, {})),
        )


def _classifications(connection: Connection, rows: Iterable[CostRow]) -> dict[str | None, LineItem]:
    """Return the classification of each label, as it was stored with the costs.

    Rows without a label, and labels longer than `MAX_KEY_LENGTH`, have no row in the table `line_items`. Their
    classification needs no rule that could have changed, so it is computed.
    """
    labels = {row.line_item for row in rows}
    stored = line_items.find(connection, (label for label in labels if label is not None))
    return {label: stored[label] if label in stored else classify(label) for label in labels}


def _allocate(synced_day: SyncedDay, inputs: _DayInputs) -> DayAllocation:
    allocation = allocate(
        inputs.costs,
        inputs.line_items,
        DayUsage(inputs.usage, inputs.model_names),
        # A row without a user was billed to no user only if the query grouped by users. Otherwise its user is unknown.
        by_user="user_id" in parse_grouping(synced_day.grouping),
        by_key="api_key_id" in parse_grouping(synced_day.grouping),
        totals=inputs.totals,
    )
    # Amounts in different currencies are never added, so the sums of a day cover US dollars only.
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
    """Return the exact sum of the absolute amounts; a missing amount counts as zero."""
    total = _ZERO
    for amount in amounts:
        if amount is not None:
            # abs() would round to the 28 digits of Python's default decimal context.
            total = money.add(total, amount.copy_abs())
    return total
