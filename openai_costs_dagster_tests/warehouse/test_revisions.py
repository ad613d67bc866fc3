"""Tests of revisions: only a restatement of a settled day stores the old amount, the new amount and the time."""

import datetime as dt
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from openai_costs_dagster.cost_records import GROUPINGS, CostRow
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.warehouse.database import Connection

from ..conftest import NOW
from .windows import BY_KEY, COARSEST, DAY, row, store, total

LATER = NOW + dt.timedelta(days=7)


def revisions(connection: Connection) -> list[dict[str, Any]]:
    """Return all revisions, oldest first."""
    found = connection.execute(
        """
        select
            usage_date, project_id, line_item, api_key_id, user_id, currency, old_amount, new_amount, compared_by,
            observed_at
        from openai_costs.cost_revisions
        order by observed_at, usage_date, project_id, line_item, currency
        """
    )
    names = [column.name for column in found.description or ()]
    return [dict(zip(names, values, strict=True)) for values in found]


def changed_amounts(connection: Connection) -> list[tuple[Any, ...]]:
    return [
        (revision["line_item"], str(revision["old_amount"]), str(revision["new_amount"]))
        for revision in revisions(connection)
    ]


def restate(connection: Connection, old: list[CostRow], new: list[CostRow]) -> None:
    store(connection, {DAY: old})
    store(connection, {DAY: new}, now=LATER)


def test_raised_and_lowered_amounts_are_revisions_with_both_amounts_and_the_time(connection: Connection) -> None:
    old = [row("1.10", "up"), row("2", "down"), row("3", "same")]
    restate(connection, old, [row("1.25", "up"), row("-0.5", "down"), row("3.00", "same")])
    assert changed_amounts(connection) == [("down", "2", "-0.5"), ("up", "1.10", "1.25")]
    assert revisions(connection)[0] == {
        "usage_date": DAY,
        "project_id": "proj_a",
        "line_item": "down",
        "api_key_id": None,
        "user_id": None,
        "currency": "usd",
        "old_amount": Decimal(2),
        "new_amount": Decimal("-0.5"),
        "compared_by": "project,line_item",
        "observed_at": LATER,
    }


def test_removed_row_has_new_amount_0_and_added_row_has_old_amount_0(connection: Connection) -> None:
    restate(connection, [row("2", "vanished"), row("3", "same")], [row("5", "appeared"), row("3", "same")])
    assert changed_amounts(connection) == [("appeared", "0", "5"), ("vanished", "2", "0")]


def test_emptied_day_is_a_revision_of_every_row(connection: Connection) -> None:
    restate(connection, [row("2", "a"), row("3", "b")], [])
    assert changed_amounts(connection) == [("a", "2", "0"), ("b", "3", "0")]


def test_first_and_unchanged_versions_are_no_revisions(connection: Connection) -> None:
    rows = [row("2", "a"), row(None, "b"), row("0", "c")]
    restate(connection, rows, list(reversed(rows)))
    assert revisions(connection) == []


def test_row_of_zero_or_null_equals_a_missing_row(connection: Connection) -> None:
    restate(connection, [row("2", "a"), row("0", "idle")], [row("2", "a"), row(None, "absent")])
    assert revisions(connection) == []


@pytest.mark.parametrize("still_provisional", [True, False])
def test_growth_of_a_provisional_day_is_no_revision(connection: Connection, still_provisional: bool) -> None:
    store(connection, {DAY: [row("1")]}, provisional=[DAY])
    store(connection, {DAY: [row("2")]}, provisional=[DAY] if still_provisional else [])
    assert revisions(connection) == []


def test_only_settled_days_of_a_window_have_revisions(connection: Connection) -> None:
    tomorrow = DAY + ONE_DAY
    store(connection, {DAY: [row("1")], tomorrow: [row("1")]}, provisional=[tomorrow])
    store(connection, {DAY: [row("2")], tomorrow: [row("2")]})
    assert [revision["usage_date"] for revision in revisions(connection)] == [DAY]


def test_every_restatement_is_stored(connection: Connection) -> None:
    for day, amount in enumerate(["1", "2", "1"]):
        store(connection, {DAY: [row(amount)]}, now=NOW + day * ONE_DAY)
    assert [(str(revision["old_amount"]), str(revision["new_amount"])) for revision in revisions(connection)] == [
        ("1", "2"),
        ("2", "1"),
    ]


COARSE = [row("5", "a"), row("1", "b")]
FINE = [row("2", "a", api_key_id="key_1"), row("3", "a", api_key_id="key_2"), row("1", "b", api_key_id="key_1")]


@pytest.mark.parametrize(
    ("old", "new"),
    [((COARSE, COARSEST), (FINE, BY_KEY)), ((FINE, BY_KEY), (COARSE, COARSEST))],
    ids=["finer", "coarser"],
)
def test_change_of_grouping_with_equal_sums_is_no_revision(connection: Connection, old: Any, new: Any) -> None:
    for rows, grouping in (old, new):
        store(connection, {DAY: rows}, grouping=grouping)
    assert revisions(connection) == []


def test_different_groupings_are_compared_over_shared_fields(connection: Connection) -> None:
    store(connection, {DAY: COARSE}, grouping=COARSEST)
    store(connection, {DAY: [*FINE, row("0.5", "a", api_key_id="key_3")]}, grouping=BY_KEY)
    (revision,) = revisions(connection)
    assert (revision["line_item"], revision["api_key_id"], revision["compared_by"]) == ("a", None, "project,line_item")
    assert (revision["old_amount"], revision["new_amount"]) == (Decimal(5), Decimal("5.5"))


def test_amounts_moved_between_keys_are_revisions_if_both_group_by_key(connection: Connection) -> None:
    store(connection, {DAY: FINE}, grouping=BY_KEY)
    moved = [row("5", "a", api_key_id="key_2"), row("1", "b", api_key_id="key_1")]
    store(connection, {DAY: moved}, grouping=BY_KEY)
    assert [
        (revision["api_key_id"], revision["compared_by"], revision["new_amount"]) for revision in revisions(connection)
    ] == [
        ("key_1", "project,line_item,api_key", 0),
        ("key_2", "project,line_item,api_key", 5),
    ]


def test_grouping_by_user_and_grouping_by_key_are_compared_by_project_and_line_item(connection: Connection) -> None:
    by_user = frozenset({"project_id", "user_id", "line_item"})
    store(connection, {DAY: [row("5", "a", user_id="user_1")]}, grouping=by_user)
    store(connection, {DAY: [row("6", "a", api_key_id="key_1")]}, grouping=BY_KEY)
    (revision,) = revisions(connection)
    assert (revision["user_id"], revision["api_key_id"], revision["compared_by"]) == (None, None, "project,line_item")


def test_null_equals_null_and_differs_from_the_empty_text(connection: Connection) -> None:
    restate(
        connection,
        [row("5", None, None), row("7", "", None), row("1", "same", None)],
        [row("6", None, None), row("4", "", None), row("1", "same", None)],
    )
    assert changed_amounts(connection) == [("", "7", "4"), (None, "5", "6")]


def test_each_currency_has_its_own_revision(connection: Connection) -> None:
    restate(connection, [row("5"), row("2", currency="eur")], [row("2"), row("5", currency="eur")])
    assert [(revision["currency"], revision["new_amount"]) for revision in revisions(connection)] == [
        ("eur", 5),
        ("usd", 2),
    ]


def test_changed_quantity_or_unit_with_equal_amount_is_no_revision(connection: Connection) -> None:
    old = row("5", quantity=Decimal(10), quantity_unit="tokens")
    restate(connection, [old], [old._replace(quantity=Decimal(10_000), quantity_unit="1000_tokens")])
    assert revisions(connection) == []


def test_equal_days_of_two_organizations_are_not_compared(connection: Connection) -> None:
    store(connection, {DAY: [row("1")]}, organization="beta")
    restate(connection, [row("2")], [row("3")])
    found = connection.execute("select organization, old_amount from openai_costs.cost_revisions").fetchall()
    assert found == [("acme", Decimal(2))]


cents = st.integers(-10_000, 10_000).map(lambda number: Decimal(number).scaleb(-2))
versions = st.lists(
    st.builds(
        lambda amount, line_item, project, key, currency: row(
            amount, line_item, project, api_key_id=key, currency=currency
        ),
        cents,
        st.sampled_from([None, "", "a", "b"]),
        st.sampled_from([None, "proj_a"]),
        st.sampled_from([None, "key_1", "key_2"]),
        st.sampled_from(["usd", "eur"]),
    ),
    unique_by=lambda cost: cost[:6],
    max_size=8,
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=versions, new=versions, groupings=st.tuples(st.sampled_from(GROUPINGS), st.sampled_from(GROUPINGS)))
def test_revisions_of_any_two_versions_add_up_to_the_change(
    connection: Connection, old: list[CostRow], new: list[CostRow], groupings: tuple[frozenset[str], frozenset[str]]
) -> None:
    connection.execute("truncate openai_costs.cost_days, openai_costs.cost_rows, openai_costs.revisions")
    store(connection, {DAY: old}, grouping=groupings[0])
    store(connection, {DAY: new}, grouping=groupings[1])
    for currency in ("usd", "eur"):
        change = total(row.amount for row in new if row.currency == currency) - total(
            row.amount for row in old if row.currency == currency
        )
        recorded = [revision for revision in revisions(connection) if revision["currency"] == currency]
        assert total(revision["new_amount"] - revision["old_amount"] for revision in recorded) == change
        assert all(revision["new_amount"] != revision["old_amount"] for revision in recorded)
