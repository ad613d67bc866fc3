"""Price-volume-mix analysis: splits a change of spend into three parts that add up exactly to the change.

The volume part is the cost of more or fewer units at the usual price and mix. The price part is the change of the price
per unit, times the present number of units. The mix part is the rest: units that moved between cheaper and more
expensive segments. Segments without a present and a usual quantity cannot be split and count as unmeasured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Context, Decimal

from openai_costs_dagster.spend import money

_ZERO = Decimal(0)
_CENTS = Decimal("0.01")
_RATIOS = Context(prec=28)
# If a usual quantity is near zero, the ratio is huge, and an amount that is computed from it needs more than 28 digits.
_WIDE = Context(prec=400)


@dataclass(frozen=True)
class Segment:
    """The present and the usual spend of one project, model, API key, line item and kind, in US dollars.

    Quantities are in the unit `unit`, and None if they are unknown.
    """

    project: str
    model: str
    api_key: str
    line_item: str
    kind: str
    unit: str | None
    amount: Decimal
    usual_amount: Decimal
    quantity: Decimal | None
    usual_quantity: Decimal | None

    @property
    def change(self) -> Decimal:
        """The present amount minus the usual amount."""
        return money.subtract(self.amount, self.usual_amount)

    @property
    def has_quantities(self) -> bool:
        """Whether the present and the usual amount have a quantity in the same unit."""
        return bool(self.quantity and self.usual_quantity and self.unit)


@dataclass(frozen=True)
class ChangeBreakdown:
    """A change of spend in US dollars. `volume`, `price`, `mix` and `unmeasured` add up to `total`."""

    total: Decimal
    volume: Decimal
    price: Decimal
    mix: Decimal
    unmeasured: Decimal
    volume_ratio: Decimal | None
    """The present number of units divided by the usual number, or None if no segment has quantities."""
    price_ratio: Decimal | None
    """The present cost divided by the cost of the same units at the usual prices, or None if no segment has quantities.
    """
    unit: str | None
    """The unit whose spend changed most. `volume_ratio` and `price_ratio` refer to this unit."""


def decompose_change(segments: Iterable[Segment]) -> ChangeBreakdown:
    """Split the sum of the changes of all segments into price, volume and mix."""
    segments = list(segments)
    by_unit: dict[str | None, list[Segment]] = defaultdict(list)
    for segment in segments:
        if segment.has_quantities:
            by_unit[segment.unit].append(segment)
    # Billed and credited quantities of a unit may add up to a usual quantity of zero, for which there is no ratio.
    measured = [of_unit for of_unit in by_unit.values() if _usual_quantity(of_unit)]
    total = money.total(segment.change for segment in segments)
    volume = price = explained = _ZERO
    for of_unit in measured:
        now, usual = _quantity(of_unit), _usual_quantity(of_unit)
        amount = money.total(segment.usual_amount for segment in of_unit)
        volume += _cents(amount * (_RATIOS.divide(now, usual) - 1))
        price += _cents(sum((segment.amount - _at_usual_price(segment) for segment in of_unit), _ZERO))
        explained = money.add(explained, money.total(segment.change for segment in of_unit))
    leading = max(measured, key=_weight, default=[])
    return ChangeBreakdown(
        total=total,
        volume=volume,
        price=price,
        mix=money.subtract(explained, volume + price),
        unmeasured=money.subtract(total, explained),
        volume_ratio=_ratio(_quantity(leading), _usual_quantity(leading)),
        price_ratio=_ratio(
            sum((segment.amount for segment in leading), _ZERO),
            sum((_at_usual_price(segment) for segment in leading), _ZERO),
        ),
        unit=leading[0].unit if leading else None,
    )


def main_contributor(segments: Iterable[Segment], name: Callable[[Segment], str]) -> tuple[str, Decimal] | None:
    """Return the group of segments with the largest share of the change, and this share, or None without a change.

    `name` returns the group of a segment, for example its project.
    """
    changes: dict[str, Decimal] = defaultdict(Decimal)
    for segment in segments:
        changes[name(segment)] = money.add(changes[name(segment)], segment.change)
    total = money.total(changes.values())
    if not total:
        return None
    largest = max(changes, key=lambda group: (changes[group] / total, group))
    return largest, _RATIOS.divide(changes[largest], total)


def _quantity(segments: list[Segment]) -> Decimal:
    return sum((segment.quantity or _ZERO for segment in segments), _ZERO)


def _usual_quantity(segments: list[Segment]) -> Decimal:
    return sum((segment.usual_quantity or _ZERO for segment in segments), _ZERO)


def _at_usual_price(segment: Segment) -> Decimal:
    """Return the cost of the segment's present quantity at the usual price per unit."""
    return _RATIOS.divide(segment.usual_amount * (segment.quantity or _ZERO), segment.usual_quantity or Decimal(1))


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENTS, context=_WIDE)


def _weight(segments: list[Segment]) -> Decimal:
    return sum((abs(segment.change) + segment.amount for segment in segments), _ZERO)


def _ratio(now: Decimal, usual: Decimal) -> Decimal | None:
    return _RATIOS.divide(now, usual) if usual else None
