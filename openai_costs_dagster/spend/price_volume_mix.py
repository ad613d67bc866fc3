"""How much of a change of spend is price, volume and mix, exactly: the parts add up to the change.

Volume is what more or fewer units would have cost at the price and mix there were; price is what the units that came
cost more or less each; mix is the rest of what is measured, units having moved between cheaper and dearer ones. What
has no quantity, or none to compare with, stays apart.
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
_WIDE = Context(prec=400)  # a quantity near zero makes a huge ratio


@dataclass(frozen=True)
class Segment:
    """A part of a series' spend now and usually: US dollars, quantities in `unit`, null where unknown."""

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
        """Amount less the usual one."""
        return money.subtract(self.amount, self.usual_amount)

    @property
    def has_quantities(self) -> bool:
        """Whether both amounts have quantities to compare."""
        return bool(self.quantity and self.usual_quantity and self.unit)


@dataclass(frozen=True)
class ChangeBreakdown:
    """US dollars; the four parts add up to `total`. `volume_ratio` is units now to usual ones, where one unit leads."""

    total: Decimal
    volume: Decimal
    price: Decimal
    mix: Decimal
    unmeasured: Decimal
    volume_ratio: Decimal | None
    price_ratio: Decimal | None
    """What the same units cost now to what they cost usually."""
    unit: str | None


def decompose_change(parts: Iterable[Segment]) -> ChangeBreakdown:
    """Splits the change of all parts together."""
    parts = list(parts)
    by_unit = _by([part for part in parts if part.has_quantities], lambda part: part.unit)
    # Billed and credited quantities of a unit may cancel each other out, and nothing compares with zero units.
    measured = [of_unit for of_unit in by_unit.values() if _usual_quantity(of_unit)]
    total = money.total(part.change for part in parts)
    volume = price = explained = _ZERO
    for of_unit in measured:
        now, usual = _quantity(of_unit), _usual_quantity(of_unit)
        amount = money.total(part.usual_amount for part in of_unit)
        volume += _cents(amount * (_RATIOS.divide(now, usual) - 1))
        price += _cents(sum((part.amount - _at_usual_price(part) for part in of_unit), _ZERO))
        explained = money.add(explained, money.total(part.change for part in of_unit))
    leading = max(measured, key=_weight, default=[])
    return ChangeBreakdown(
        total=total,
        volume=volume,
        price=price,
        mix=money.subtract(explained, volume + price),
        unmeasured=money.subtract(total, explained),
        volume_ratio=_ratio(_quantity(leading), _usual_quantity(leading)),
        price_ratio=_ratio(
            sum((part.amount for part in leading), _ZERO), sum((_at_usual_price(part) for part in leading), _ZERO)
        ),
        unit=leading[0].unit if leading else None,
    )


def main_contributor(parts: Iterable[Segment], name: Callable[[Segment], str]) -> tuple[str, Decimal] | None:
    """Which of the parts, named by `name`, has most of the change, and its share; None without a change."""
    changes: dict[str, Decimal] = defaultdict(Decimal)
    for part in parts:
        changes[name(part)] = money.add(changes[name(part)], part.change)
    total = money.total(changes.values())
    if not total:
        return None
    best = max(changes, key=lambda one: (changes[one] / total, one))
    return best, _RATIOS.divide(changes[best], total)


def _by(parts: Iterable[Segment], key: Callable[[Segment], str | None]) -> dict[str | None, list[Segment]]:
    groups: dict[str | None, list[Segment]] = defaultdict(list)
    for part in parts:
        groups[key(part)].append(part)
    return groups


def _quantity(parts: list[Segment]) -> Decimal:
    return sum((part.quantity or _ZERO for part in parts), _ZERO)


def _usual_quantity(parts: list[Segment]) -> Decimal:
    return sum((part.usual_quantity or _ZERO for part in parts), _ZERO)


def _at_usual_price(part: Segment) -> Decimal:
    return _RATIOS.divide(part.usual_amount * (part.quantity or _ZERO), part.usual_quantity or Decimal(1))


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENTS, context=_WIDE)


def _weight(parts: list[Segment]) -> Decimal:
    return sum((abs(part.change) + part.amount for part in parts), _ZERO)


def _ratio(now: Decimal, usual: Decimal) -> Decimal | None:
    return _RATIOS.divide(now, usual) if usual else None
