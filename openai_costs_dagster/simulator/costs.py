"""Computes the rows of a costs query for one day: filters and groups facts, adds them up exactly and writes JSON.

Amounts are never rounded and never converted to floats.
"""

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from openai_costs_dagster.simulator.buckets import json_object
from openai_costs_dagster.simulator.deviations import Deviations
from openai_costs_dagster.simulator.facts import EXACT, Fact, total
from openai_costs_dagster.simulator.organization import SimulatedOrganization

DIMENSIONS = ("project_id", "user_id", "line_item", "api_key_id", "api_source")

# The live API writes an amount as a string with 34 significant digits, and zero as 0E-6176.
_SIGNIFICANT_DIGITS = 34
_ZERO = "0E-6176"
_NUMBER_ROW_RATIO = 4  # With the deviation `mixed_amounts`, one in four rows has a JSON number as its amount.


@dataclass(frozen=True, slots=True)
class CostsView:
    """The filters and the grouping of a costs query. A filter of None matches all facts."""

    group_by: frozenset[str] = frozenset()
    project_ids: frozenset[str] | None = None
    api_key_ids: frozenset[str] | None = None
    line_items: frozenset[str] | None = None

    def matches(self, fact: Fact) -> bool:
        """Return whether a fact passes all filters."""
        return (
            (self.project_ids is None or fact.project_id in self.project_ids)
            and (self.api_key_ids is None or fact.api_key_id in self.api_key_ids)
            and (self.line_items is None or fact.line_item in self.line_items)
        )

    def identity(self) -> list[object]:
        """Return a JSON-serializable value that is equal for two views only if the views are equal."""
        values = (self.group_by, self.project_ids, self.api_key_ids, self.line_items)
        return ["costs", *(None if value is None else sorted(value) for value in values)]

    def results(
        self, organization: SimulatedOrganization, day: date, deviations: Deviations, now: datetime
    ) -> list[str]:
        """Return the JSON text of every row of a UTC day at the time `now`, which must have a time zone."""
        rows = aggregate_costs(organization.facts_until(day, now), self, deviations)
        return [_row_text(organization, day, row, self, deviations) for row in rows]


@dataclass(frozen=True, slots=True)
class Row:
    """The sum of several facts. Dimensions by which the query does not group are None."""

    dimensions: dict[str, str | None]
    project_name: str | None
    user_email: str | None
    currency: str
    amount: Decimal | None
    quantity: Decimal | None
    quantity_unit: str | None


def aggregate_costs(facts: Iterable[Fact], view: CostsView, deviations: Deviations) -> list[Row]:
    """Return the rows of a day, in the order in which their facts first occur.

    Amounts in different currencies are never added up.
    """
    shown = set(view.group_by)
    # If a query groups by line item alone, the live API also returns separate rows for each project.
    if deviations.line_item_splits_projects and shown == {"line_item"}:
        shown.add("project_id")
    # The live API may return several rows that have the same value in every visible dimension.
    hidden = {"api_source"} if deviations.duplicate_rows else set()
    group_names = [name for name in DIMENSIONS if name in shown | hidden]
    groups: dict[tuple[str | None, ...], list[Fact]] = {}
    for fact in facts:
        if view.matches(fact):
            key = (fact.currency, *(getattr(fact, name) for name in group_names))
            groups.setdefault(key, []).append(fact)
    return [_row(group, shown, with_quantity="line_item" in shown) for group in groups.values()]


def _row(facts: list[Fact], shown: set[str], *, with_quantity: bool) -> Row:
    first = facts[0]
    quantities = [fact.quantity for fact in facts if fact.quantity is not None]
    units = {fact.quantity_unit for fact in facts if fact.quantity is not None}
    # Quantities in different units cannot be added up, so such a row has no quantity.
    countable = with_quantity and len(units) == 1
    return Row(
        dimensions={name: getattr(first, name) if name in shown else None for name in DIMENSIONS},
        project_name=first.project_name if "project_id" in shown else None,
        user_email=first.user_email if "user_id" in shown else None,
        currency=first.currency,
        amount=total([fact.amount for fact in facts if fact.amount is not None]),
        quantity=total(quantities) if countable else None,
        quantity_unit=units.pop() if countable else None,
    )


def _row_text(organization: SimulatedOrganization, day: date, row: Row, view: CostsView, deviations: Deviations) -> str:
    members = {"object": '"organization.costs.result"'}
    if row.amount is not None:
        value = _amount_text(row.amount, deviations, as_number=_has_number_amount(day, row))
        members["amount"] = f'{{"value": {value}, "currency": {json.dumps(row.currency)}}}'
    elif deviations.null_amounts:
        members["amount"] = "null"
    members["quantity"] = _quantity_text(row.quantity, deviations)
    members["quantity_unit"] = json.dumps(row.quantity_unit)
    for name in DIMENSIONS:
        # The published specification lists three dimensions. Newer dimensions only appear if the query groups by them.
        documented = name in ("project_id", "line_item", "api_key_id") or name in view.group_by
        if documented or deviations.undocumented_fields:
            members[name] = json.dumps(row.dimensions[name])
    if deviations.undocumented_fields:
        # Live responses contain names and organization ids, which the published specification does not list.
        members["organization_id"] = json.dumps(organization.organization_id)
        members["organization_name"] = json.dumps(organization.name)
        members["project_name"] = json.dumps(row.project_name)
        members["user_email"] = json.dumps(row.user_email)
    return json_object(members)


def _has_number_amount(day: date, row: Row) -> bool:
    # The choice depends on a digest of the row, because a random choice would give a repeated request another response.
    fingerprint = zlib.crc32(repr((day, row.dimensions, row.amount)).encode())
    return fingerprint % _NUMBER_ROW_RATIO == 0


def _amount_text(amount: Decimal, deviations: Deviations, *, as_number: bool) -> str:
    if not amount and deviations.zero_exponent:
        return f'"{_ZERO}"' if deviations.string_amounts else _ZERO
    if not deviations.string_amounts or (deviations.mixed_amounts and as_number):
        return _shortest(amount)
    return f'"{_padded(amount)}"'


def _shortest(number: Decimal) -> str:
    return f"{number.normalize(EXACT):f}" if number else "0"


def _padded(amount: Decimal) -> str:
    if not amount:
        return "0"
    shortest = amount.normalize(EXACT)
    missing = _SIGNIFICANT_DIGITS - len(shortest.as_tuple().digits)
    exponent = shortest.adjusted() - _SIGNIFICANT_DIGITS + 1
    if missing > 0:
        shortest = shortest.quantize(Decimal((0, (1,), exponent)), context=EXACT)
    return f"{shortest:f}"


def _quantity_text(quantity: Decimal | None, deviations: Deviations) -> str:
    if quantity is None:
        return "null"
    text = _shortest(quantity)
    # With this deviation, whole quantities are written as floats, as the live API may do.
    return f"{text}.0" if deviations.float_quantities and "." not in text else text
