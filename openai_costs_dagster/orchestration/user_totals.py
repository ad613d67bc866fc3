"""Each user's own totals by line item, for days whose costs come without users: they serve allocation alone.

Where user and project exclude each other the API still tells users by themselves, and the two must add up to the
same. Never prevents storing costs.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from decimal import Decimal

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.costs import CostsBucket, OrganizationGuard, read_costs
from openai_costs_dagster.api.wire import read_cost
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.spend import money
from openai_costs_dagster.warehouse import allocations, usage
from openai_costs_dagster.warehouse.allocations import UserCost
from openai_costs_dagster.warehouse.database import Connection

USER = "user_id"
GROUPING = frozenset({USER, "line_item"})

_ABSENCE = "costs by user"
_ABSENT_FOR = dt.timedelta(days=7)


def read_user_totals(
    api: AdminApi, connection: Connection, organization: str, days: DayRange, now: dt.datetime, log: logging.Logger
) -> None:
    """Stores what each user was billed on some days; what cannot be had is forgotten, and said where it is odd."""
    known = {one.what: one for one in usage.absences(connection, organization)}.get(_ABSENCE)
    if known and now - known.seen_at < _ABSENT_FOR:
        allocations.drop_user_costs(connection, organization, days)
        return
    try:
        buckets = list(read_costs(api, days, GROUPING, OrganizationGuard(None)))
        found = {bucket.day: _totals(bucket) for bucket in buckets}
    except errors.GroupingRefused as refusal:
        usage.note_absence(connection, organization, _ABSENCE, str(refusal), now)
        allocations.drop_user_costs(connection, organization, days)
    except (errors.ApiError, ValueError) as error:
        log.warning("%s %s: what each user was billed could not be read: %s", organization, days, error)
        allocations.drop_user_costs(connection, organization, days)
    else:
        allocations.store_user_costs(connection, organization, days, found, now)
        usage.forget_absence(connection, organization, _ABSENCE)


def _totals(bucket: CostsBucket) -> list[UserCost]:
    """A day's users and line items; rows that share both, in other units or projects, are one."""
    added: dict[tuple[str | None, str | None, str | None], Decimal] = defaultdict(Decimal)
    for cost in map(read_cost, bucket.rows):
        if cost.amount is not None:
            key = (cost.user_id, cost.line_item, cost.currency)
            added[key] = money.add(added[key], money.normalised(cost.amount))
    return [UserCost(*key, amount) for key, amount in added.items()]
