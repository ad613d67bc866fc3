"""Finds changed unit prices, which are computed by dividing the amount of a line item by its quantity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Context, Decimal
from itertools import chain
from statistics import median
from typing import NamedTuple

from openai_costs_dagster.records import PricedDay
from openai_costs_dagster.spend.allocation.model_names import label_with_alias, name_one_model
from openai_costs_dagster.spend.explanation import shorten
from openai_costs_dagster.spend.money import dollars

CHANGE = Decimal("0.02")
"""The relative difference from the earlier price above which a unit price counts as changed.

The computed price of a mix of different work varies by less.
"""

_STEADY = Decimal("0.01")  # The largest relative difference between earlier prices that count as steady.
_DAYS = 7  # The largest number of earlier days with a price whose median is the earlier price.
_MIN_DAYS = 3  # The smallest number of earlier days with a price that a comparison of unit prices needs.
_FOUR_DIGITS = Context(prec=4)


class PriceChange(NamedTuple):
    """The first day on which a line item has a new unit price."""

    priced: PricedDay
    before: Decimal
    """The median unit price on the earlier days, in US dollars."""

    @property
    def impact(self) -> Decimal:
        """The amount of the day minus the amount at the earlier price, in US dollars."""
        return self.priced.amount - self.before * self.priced.quantity

    def __str__(self) -> str:
        now, before = self.priced.unit_price, self.before
        change = f"{abs(now / before - 1):.1%}" if before else "from zero"
        is_tokens = self.priced.quantity_unit == "tokens"
        scale, unit = (1_000_000, "a million tokens") if is_tokens else (1, _unit(self.priced.quantity_unit))
        moved = "rose" if now > before else "fell"
        return (
            f"The unit price of {shorten(self.priced.line_item)} {moved} by {change}, to "
            f"{_short(now * scale)} {unit} from {_short(before * scale)}: {dollars(abs(self.impact))} "
            f"{'more' if self.impact > 0 else 'less'} on the day."
        )


def price_changes(priced: Iterable[PricedDay]) -> list[PriceChange]:
    """Return the first day of each new unit price, sorted by day and impact.

    A change needs at least three earlier days with a steady price. `priced` may have any order. A model that is first
    billed under its alias and then under its dated snapshot, or in the opposite order, counts as one model. Two
    snapshots are two models.
    """
    changes: list[PriceChange] = []
    for history in _histories(priced):
        for place in range(_MIN_DAYS, len(history)):
            before = _steady_price(history[max(0, place - _DAYS) : place])
            if before is not None and abs(history[place].unit_price - before) > CHANGE * before:
                changes.append(PriceChange(history[place], before))
    return sorted(changes, key=lambda one: (one.priced.day, -abs(one.impact), one.priced.line_item))


def _histories(priced: Iterable[PricedDay]) -> Iterator[list[PricedDay]]:
    """Yield the days with a price of each line item and unit, the oldest first."""
    by_item: dict[tuple[str, str | None], dict[str, list[PricedDay]]] = defaultdict(lambda: defaultdict(list))
    for one in sorted(priced, key=lambda one: (one.line_item, one.quantity_unit or "", one.day)):
        by_item[label_with_alias(one.line_item, one.model), one.quantity_unit][one.line_item].append(one)
    for by_label in by_item.values():
        together = sorted(chain.from_iterable(by_label.values()), key=lambda one: one.day)
        # If an alias and a snapshot are billed on the same day, they are two models with separate prices.
        is_billed_under_one_name = len({one.day for one in together}) == len(together)
        if is_billed_under_one_name and name_one_model(one.model for one in together):
            yield together
        else:
            yield from by_label.values()


def _steady_price(days: Sequence[PricedDay]) -> Decimal | None:
    prices = [one.unit_price for one in days]
    usual = median(prices)
    return usual if usual > 0 and max(prices) - min(prices) <= _STEADY * usual else None


def _short(price: Decimal) -> str:
    shown = f"${abs(price).normalize(_FOUR_DIGITS):f}"
    return f"-{shown}" if price < 0 else shown


def _unit(unit: str | None) -> str:
    return f"per {unit.replace('_', ' ')}" if unit else "each"
