"""Tests of stored classifications of line items, project names and refused groupings."""

import datetime as dt

from openai_costs_dagster.cost_records import RefusedGrouping, parse_grouping
from openai_costs_dagster.records import LineItem
from openai_costs_dagster.warehouse import directory, line_items, refused_groupings
from openai_costs_dagster.warehouse.database import Connection

from ..conftest import NOW
from .windows import DAY, row, store


def by_rules(model: str | None) -> line_items.Classify:
    return lambda label: LineItem("Service", label.upper(), "kind", model, None, None, long_context=False)


def stored_line_items(connection: Connection) -> list[tuple[str | None, ...]]:
    return connection.execute(
        "select line_item, service, category, model from openai_costs.daily_costs order by line_item"
    ).fetchall()


def test_newer_rules_reclassify_stored_line_items(connection: Connection) -> None:
    store(connection, {DAY: [row("1", "a"), row("2", "b")]})
    line_items.classify_new(connection, ["a", "b"], by_rules("old"), 1)
    before = connection.execute("select * from openai_costs.cost_rows").fetchall()
    assert line_items.reclassify(connection, by_rules("new"), 2) == 2
    assert stored_line_items(connection) == [("a", "Service", "A", "new"), ("b", "Service", "B", "new")]
    assert connection.execute("select * from openai_costs.cost_rows").fetchall() == before


def test_equal_or_older_rules_change_nothing(connection: Connection) -> None:
    store(connection, {DAY: [row("1", "a")]})
    line_items.classify_new(connection, ["a"], by_rules("newer"), 2)
    assert line_items.reclassify(connection, by_rules("same"), 2) == 0
    assert line_items.reclassify(connection, by_rules("older"), 1) == 0
    line_items.classify_new(connection, ["a"], by_rules("older"), 1)  # An older release still runs after the upgrade.
    assert stored_line_items(connection) == [("a", "Service", "A", "newer")]


def test_line_item_without_a_name_has_a_service(connection: Connection) -> None:
    store(connection, {DAY: [row("1", None), row("2", "never classified")]})
    assert stored_line_items(connection) == [
        ("never classified", "Unlabelled", "Unlabelled", None),
        (None, "Unlabelled", "Unlabelled", None),
    ]


def test_older_project_name_does_not_replace_a_newer_one(
    connection: Connection,
) -> None:
    store(connection, {DAY: [row("1")]})
    store(connection, {DAY: [row("2")]}, organization="beta")
    for name, hours in (("Serch", 1), ("Search", 2), ("Serch", 0)):
        directory.store_project_names(connection, "acme", {"proj_a": name}, NOW + dt.timedelta(hours=hours))
    found = connection.execute("select organization, project_name from openai_costs.daily_costs order by 1").fetchall()
    assert found == [("acme", "Search"), ("beta", None)]


def test_refusals_are_replaced_by_organization(connection: Connection) -> None:
    ended = RefusedGrouping(parse_grouping("project,line_item,api_key"), None, DAY, NOW)
    started = RefusedGrouping(parse_grouping("project,user,line_item"), DAY, None, NOW)
    both = [ended.grouping, started.grouping]
    refused_groupings.replace_refusals(connection, "acme", both, [ended, started])
    refused_groupings.replace_refusals(connection, "beta", both, [started])
    assert refused_groupings.stored_refusals(connection, "acme") == [ended, started]
    refused_groupings.replace_refusals(connection, "acme", [ended.grouping], [])
    assert refused_groupings.stored_refusals(connection, "acme") == [started]
    refused_groupings.replace_refusals(connection, "acme", both, [])
    assert (
        refused_groupings.stored_refusals(connection, "acme"),
        refused_groupings.stored_refusals(connection, "beta"),
    ) == (
        [],
        [started],
    )
