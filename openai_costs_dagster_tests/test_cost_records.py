"""Tests of the groupings and their names."""

from __future__ import annotations

import itertools

import pytest

from openai_costs_dagster.cost_records import GROUPINGS, UNGROUPED, Grouping, grouping_name, parse_grouping

_DIMENSIONS = ("project_id", "user_id", "line_item", "api_key_id")
_ALL = [frozenset(some) for size in range(5) for some in itertools.combinations(_DIMENSIONS, size)]


@pytest.mark.parametrize("grouping", _ALL, ids=grouping_name)
def test_parse_grouping_inverts_grouping_name(grouping: Grouping) -> None:
    assert parse_grouping(grouping_name(grouping)) == grouping


def test_groupings_have_the_documented_order_and_names() -> None:
    assert [grouping_name(grouping) for grouping in GROUPINGS] == [
        "project,user,line_item,api_key",
        "project,line_item,api_key",
        "project,user,line_item",
        "project,line_item",
    ]
    assert grouping_name(UNGROUPED) == ""


def test_groupings_are_ordered_from_finest_to_coarsest() -> None:
    assert not any(earlier < later for earlier, later in itertools.combinations(GROUPINGS, 2))
