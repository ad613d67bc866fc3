"""Tests that price, volume, mix and unmeasured changes add up exactly to the change."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.spend.price_volume_mix import Segment, decompose_change, main_contributor

MONEY = st.decimals(0, 10_000, places=6, allow_nan=False)
QUANTITY = (
    st.none()
    | st.sampled_from([Decimal(-1000), Decimal(1000), Decimal("-1E-30")])
    | st.decimals(-1_000_000, 1_000_000, places=2, allow_nan=False)
)


def segment(
    amount: str, usual: str, quantity: str | None = None, usual_quantity: str | None = None, **names: str
) -> Segment:
    return Segment(
        project=names.get("project", "proj_search"),
        model=names.get("model", "gpt-5.5"),
        api_key=names.get("api_key", "key_7"),
        line_item=names.get("kind", "output"),
        kind=names.get("kind", "output"),
        unit="tokens",
        amount=Decimal(amount),
        usual_amount=Decimal(usual),
        quantity=None if quantity is None else Decimal(quantity),
        usual_quantity=None if usual_quantity is None else Decimal(usual_quantity),
    )


@given(st.lists(st.tuples(MONEY, MONEY, QUANTITY, QUANTITY), max_size=8))
def test_breakdown_adds_up_to_the_change(
    rows: list[tuple[Decimal, Decimal, Decimal | None, Decimal | None]],
) -> None:
    parts = [Segment("p", "m", "k", str(number), "kind", "tokens", *row) for number, row in enumerate(rows)]
    change = decompose_change(parts)
    assert change.volume + change.price + change.mix + change.unmeasured == change.total
    assert change.total == sum((segment.amount - segment.usual_amount for segment in parts), Decimal(0))


def test_quantities_that_cancel_out_are_unmeasured() -> None:
    change = decompose_change([segment("8", "5", "100", "100"), segment("-3", "-1", "-100", "-100")])
    assert change.total == change.unmeasured == 1
    assert change.unit is None
    assert decompose_change([segment("8", "5", "100", "100")]).unmeasured == 0


def test_more_units_at_the_same_price_are_volume() -> None:
    change = decompose_change([segment("98", "10", "9800", "1000")])
    assert [change.volume, change.price, change.mix, change.unmeasured] == [Decimal(88), 0, 0, 0]
    assert (change.volume_ratio, change.price_ratio) == (Decimal("9.8"), Decimal(1))


def test_same_units_at_another_price_are_price() -> None:
    change = decompose_change([segment("15", "10", "1000", "1000")])
    assert [change.volume, change.price, change.mix] == [0, Decimal(5), 0]


def test_units_without_a_counterpart_are_unmeasured() -> None:
    parts = [segment("0", "10", "0", "1000", model="mini"), segment("110", "100", "1100", "1000", model="large")]
    change = decompose_change([parts[0], parts[1], segment("100", "0", "1000", None, model="new")])
    assert change.unmeasured == Decimal(90)  # Segments with no usual or no present quantity have no unit price.


def test_segment_without_quantity_is_unmeasured() -> None:
    change = decompose_change([segment("5", "3")])
    assert (change.unmeasured, change.volume_ratio) == (Decimal(2), None)


def test_main_contributor_has_the_largest_share_of_the_change() -> None:
    parts = [segment("90", "10", api_key="key_7"), segment("25", "5", api_key="key_8")]
    assert main_contributor(parts, lambda segment: segment.api_key) == ("key_7", Decimal("0.8"))
    assert main_contributor([segment("3", "3")], lambda segment: segment.api_key) is None
