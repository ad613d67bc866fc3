"""Reads OpenAI's own limits: an organization's hard spend limit and the spend alerts that it has set there."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import msgspec

from openai_costs_dagster.api import errors
from openai_costs_dagster.api.client import AdminApi
from openai_costs_dagster.api.directory import read_list

_MONTH, _CURRENCY = "month", "usd"


class SpendLimit(NamedTuple):
    """An amount of US dollars in a calendar month; `is_hard` where OpenAI stops at it, else it sends a mail."""

    amount_usd: Decimal
    is_hard: bool


class _Wire(msgspec.Struct):
    threshold_amount: int
    currency: str
    interval: str


def read_spend_limits(api: AdminApi) -> list[SpendLimit]:
    """The hard limit where one is set, and all alerts; other currencies and intervals than the documented are left out.

    Raises an `ApiError`.
    """
    try:
        hard = [api.get("/organization/spend_limit", [], _Wire)]
    except errors.NotServed:
        hard = []
    alerts = read_list(api, "/organization/spend_alerts", [], _Wire)
    found = [*((one, True) for one in hard), *((one, False) for one in alerts)]
    return [
        SpendLimit(Decimal(one.threshold_amount) / 100, is_hard)
        for one, is_hard in found
        if one.interval == _MONTH and one.currency.lower() == _CURRENCY and one.threshold_amount > 0
    ]
