"""Reads the hard spend limit and the spend alerts that an organization has configured at OpenAI."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.directory import read_list
from openai_costs_dagster.cost_records import US_DOLLARS, currency_code, currency_name

_MONTH = "month"


class SpendLimit(NamedTuple):
    """A monthly limit in US dollars.

    At a hard limit, OpenAI stops serving the organization. At any other limit, OpenAI only sends an email.
    """

    amount_usd: Decimal
    is_hard: bool


class _Wire(msgspec.Struct):
    threshold_amount: int
    interval: str
    currency: str | None = None


class SpendLimits(NamedTuple):
    """The monthly limits of an organization in US dollars, and one message for each limit in another currency."""

    in_usd: list[SpendLimit]
    ignored: list[str]


def read_spend_limits(api: AdminApi) -> SpendLimits:
    """Return the hard limit, if there is one, and all spend alerts. Raises an `ApiError`.

    Limits with another interval than a calendar month are ignored.
    """
    try:
        hard = [api.get("/organization/spend_limit", [], _Wire)]
    except errors.EndpointNotFound:
        # The published specification does not describe the response for an organization without a hard limit.
        hard = []
    alerts = read_list(api, "/organization/spend_alerts", [], _Wire)
    found = [*((limit, True) for limit in hard), *((limit, False) for limit in alerts)]
    limits = SpendLimits([], [])
    for limit, is_hard in found:
        if limit.interval != _MONTH or limit.threshold_amount <= 0:
            continue
        currency = currency_code(limit.currency)
        if currency == US_DOLLARS:
            # OpenAI sends thresholds in cents, unlike the amounts of costs.
            limits.in_usd.append(SpendLimit(Decimal(limit.threshold_amount) / 100, is_hard))
        else:
            kind = "limit" if is_hard else "alert"
            named = f"in {currency_name(currency)}" if currency else "without a currency"
            limits.ignored.append(f"a monthly spend {kind} {named} is not used: budgets are in US dollars")
    return limits
