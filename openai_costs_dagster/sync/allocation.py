"""Shares stored costs out to users and keys by stored usage; needs no request and knows nothing of Dagster."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from openai_costs_dagster.cost_records import US_DOLLARS, CostRow, grouping_named
from openai_costs_dagster.records import LineItem, UserTotal
from openai_costs_dagster.spend import money
from openai_costs_dagster.spend.allocation.allocate import UNALLOCATED, Counted, DayUsage, allocate
from openai_costs_dagster.spend.allocation.usage_reconciliation import TokenDifference, token_differences
from openai_costs_dagster.spend.line_items import classify
from openai_costs_dagster.warehouse import allocations, usage
from openai_costs_dagster.warehouse.allocations import DayOfShares, StoredReading
from openai_costs_dagster.warehouse.database import Connection

_DAYS_AT_ONCE = 14  # bounds memory
_ZERO = Decimal(0)


@dataclass(frozen=True)
class AllocatedDay:
    """What became of a day's costs; US dollars, signs left out."""

    shares: int
    gross_usd: Decimal
    to_users_usd: Decimal
    to_keys_usd: Decimal
    unallocated_usd: Decimal
    provisional: bool
    differences: Sequence[TokenDifference]
    """Models whose billed and counted tokens differ."""
    has_usage: bool
    unsplit_line_items: Sequence[str | None]
    """Line items whose rows stay unallocated although each user's total is known."""


@dataclass
class AllocationOutcome:
    """What became of the days asked for."""

    days: dict[dt.date, AllocatedDay] = field(default_factory=dict)
    skipped: dict[dt.date, str] = field(default_factory=dict)
    """Days that were not shared out, and why; they stand in the view as they were billed."""
    unreconciled: list[dt.date] = field(default_factory=list)
    """Those of them whose costs are stored."""


def allocate_days(
    connection: Connection, organization: str, days: Iterable[dt.date], now: dt.datetime
) -> AllocationOutcome:
    """Shares some days out anew and stores the shares. Raises a WarehouseError."""
    outcome, asked = AllocationOutcome(), sorted(days)
    for start in range(0, len(asked), _DAYS_AT_ONCE):
        _share_some(connection, organization, asked[start : start + _DAYS_AT_ONCE], outcome, now)
    return outcome


def _share_some(
    connection: Connection, organization: str, days: Sequence[dt.date], outcome: AllocationOutcome, now: dt.datetime
) -> None:
    readings = {one.usage_date: one for one in allocations.readings(connection, organization, days)}
    costs = allocations.costs(connection, organization, days)
    totals = allocations.user_costs(connection, organization, days)
    names = allocations.model_names(connection, organization, days)
    counted: dict[dt.date, list[Counted]] = {}
    for one in usage.of_days(connection, organization, days):
        counted.setdefault(one.usage_date, []).append(Counted(one.operation, one.row))
    stored: dict[dt.date, DayOfShares] = {}
    for day in days:
        reading = readings.get(day)
        if reading is None:
            outcome.skipped[day] = "its costs are not stored"
        elif reading.reconciled is False and not reading.provisional:
            outcome.skipped[day] = "its rows do not add up to the total that the API bills"
            outcome.unreconciled.append(day)
        else:
            of_day = _Rows(costs.get(day, []), counted.get(day, []), totals.get(day), names.get(day, {}))
            stored[day] = _shared(reading, of_day)
            outcome.days[day] = _report(reading, of_day, stored[day])
    allocations.store(connection, organization, stored, now)


@dataclass(frozen=True)
class _Rows:
    costs: Sequence[CostRow]
    usage: Sequence[Counted]
    totals: Sequence[UserTotal] | None
    model_names: Mapping[str, str]

    @property
    def items(self) -> Mapping[str | None, LineItem]:
        return {label: classify(label) for label in {row.line_item for row in self.costs}}


def _shared(reading: StoredReading, rows: _Rows) -> DayOfShares:
    allocation = allocate(
        rows.costs,
        rows.items,
        DayUsage(rows.usage, rows.model_names),
        by_user="user_id" in grouping_named(reading.grouping),
        by_key="api_key_id" in grouping_named(reading.grouping),
        totals=rows.totals,
    )
    shares = allocation.shares
    return DayOfShares(
        reading.reading_id,
        shares,
        gross_usd=_gross(share.amount for share in shares if share.currency == US_DOLLARS),
        to_users_usd=_gross(
            share.amount for share in shares if share.currency == US_DOLLARS and share.user_id is not None
        ),
        to_keys_usd=_gross(
            share.amount for share in shares if share.currency == US_DOLLARS and share.api_key_id is not None
        ),
        unsplit_line_items=allocation.unsplit_line_items,
    )


def _report(reading: StoredReading, rows: _Rows, shared: DayOfShares) -> AllocatedDay:
    return AllocatedDay(
        shares=len(shared.shares),
        gross_usd=shared.gross_usd,
        to_users_usd=shared.to_users_usd,
        to_keys_usd=shared.to_keys_usd,
        unallocated_usd=_gross(
            share.amount for share in shared.shares if share.currency == US_DOLLARS and share.method == UNALLOCATED
        ),
        provisional=reading.provisional,
        differences=token_differences(rows.costs, rows.items, rows.usage, rows.model_names),
        has_usage=bool(rows.usage),
        unsplit_line_items=shared.unsplit_line_items,
    )


def _gross(amounts: Iterable[Decimal | None]) -> Decimal:
    total = _ZERO
    for amount in amounts:
        if amount is not None:
            total = money.add(total, amount.copy_abs())
    return total
