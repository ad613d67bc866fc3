"""Hypothesis strategies for amounts and cost rows, with the extremes that the API has returned."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from openai_costs_dagster.cost_records import ReportedCost

ZERO_OF_THE_API = Decimal("0E-6176")
SMALLEST = Decimal("1E-6176")
# OpenAI computes with decimal128, so no amount is larger or has more digits.
LARGEST = Decimal("9." + "9" * 33 + "E6144")


def _decimal(negative: bool, digits: int, exponent: int) -> Decimal:
    return Decimal((int(negative), tuple(map(int, str(digits))), exponent))


amounts = st.builds(_decimal, st.booleans(), st.integers(0, 10**34 - 1), st.integers(-40, 4))
"""Amounts of ordinary size with up to 34 digits."""

_EXTREMES = [ZERO_OF_THE_API, SMALLEST, SMALLEST.copy_negate(), LARGEST, LARGEST.copy_negate(), Decimal(0)]
any_amounts = st.one_of(amounts, amounts, amounts, st.sampled_from(_EXTREMES))

_dimension = st.sampled_from([None, "", "a", "b"])
costs = st.builds(
    ReportedCost,
    project_id=_dimension,
    user_id=st.sampled_from([None, "u"]),
    api_key_id=st.sampled_from([None, ""]),
    line_item=_dimension,
    currency=st.sampled_from([None, "usd", "eur"]),
    quantity_unit=st.sampled_from([None, "tokens", "images"]),
    amount=st.none() | any_amounts,
    quantity=st.none() | amounts,
    from_number=st.booleans(),
)
"""Cost rows with few values in each dimension, so that many rows have equal dimensions."""
