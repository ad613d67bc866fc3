"""Reads OpenAI's own limits: an organization's hard spend limit and the spend alerts that it has set there."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.directory import read_list
from openai_costs_dagster.cost_records import US_DOLLARS, currency_code

_MONTH = "month"


class SpendLimit(NamedTuple):
    """An amount of US dollars in a calendar month; `is_hard` where OpenAI stops at it, else it sends a mail."""

    amount_usd: Decimal
    is_hard: bool


class _Wire(msgspec.Struct):
    threshold_amount: int
    interval: str
    currency: str | None = None


class SpendLimits(NamedTuple):
    """An organization's limits in US dollars a month, and a sentence about each limit in another currency."""

    in_usd: list[SpendLimit]
    left_out: list[str]


def read_spend_limits(api: AdminApi) -> SpendLimits:
    """Reads the hard limit, where one is set, and all alerts. Intervals other than the month are left out.

    Raises an `ApiError`.
    """
    try:
        hard = [api.get("/organization/spend_limit", [], _Wire)]
    except errors.EndpointNotFound:
        hard = []
    alerts = read_list(api, "/organization/spend_alerts", [], _Wire)
    found = [*((one, True) for one in hard), *((one, False) for one in alerts)]
    limits = SpendLimits([], [])
    for one, is_hard in found:
        if one.interval != _MONTH or one.threshold_amount <= 0:
            continue
        currency = currency_code(one.currency)
        if currency == US_DOLLARS:
            limits.in_usd.append(SpendLimit(Decimal(one.threshold_amount) / 100, is_hard))
        else:
            kind = "limit" if is_hard else "alert"
            named = f"in {currency.upper()}" if currency else "without a currency"
            limits.left_out.append(f"a monthly spend {kind} {named} is not used: budgets are in US dollars")
    return limits
