"""Tests of keys of alerts in the outbox: different alerts have different keys for any characters in names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openai_costs_dagster.warehouse import outbox
from openai_costs_dagster.warehouse.database import Connection

from ..conftest import NOW

_parts = st.lists(st.text("a/\\%", max_size=4), min_size=1, max_size=4)


@given(_parts, _parts)
def test_different_parts_have_different_deduplication_keys(one: list[str], other: list[str]) -> None:
    assert (outbox.dedup_key(*one) == outbox.dedup_key(*other)) == (one == other)


def test_alerts_of_projects_and_models_with_slashes_are_both_recorded(connection: Connection) -> None:
    for project, model in (("a/b", "c"), ("a", "b/c")):
        key = outbox.dedup_key("anomaly", "opened", "acme", project, model)
        outbox.record(connection, outbox.Alert(key, "anomaly", "opened", "high", "A title", "A sentence.", "acme"), NOW)
    assert connection.execute("select count(*) from openai_costs.outbox").fetchall() == [(2,)]
