"""Tests of raw responses: the received bytes of each day are stored once, compressed, and returned unchanged."""

import hashlib
import zlib

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.warehouse.database import Connection

from .windows import BY_KEY, DAY, row, store

ROWS = [row("1")]


def stored_bodies(connection: Connection) -> list[bytes]:
    """Return every stored body as it was received, oldest first."""
    found = connection.execute("select body, digest from openai_costs.raw_buckets order by raw_id").fetchall()
    bodies = [zlib.decompress(body) for body, _ in found]
    assert [hashlib.sha256(body).digest() for body in bodies] == [digest for _, digest in found]
    return bodies


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(min_size=1))
def test_stored_body_decompresses_to_the_received_bytes(connection: Connection, body: bytes) -> None:
    connection.execute("truncate openai_costs.raw_buckets")
    store(connection, {DAY: ROWS}, raw={DAY: body})
    assert stored_bodies(connection) == [body]


def test_identical_bodies_are_stored_once(connection: Connection) -> None:
    for body in (b"a", b"a", b"b", b"b", b"a"):
        store(connection, {DAY: ROWS}, raw={DAY: body})
    assert stored_bodies(connection) == [b"a", b"b", b"a"]


def test_equal_bytes_of_another_day_organization_or_grouping_are_stored_separately(connection: Connection) -> None:
    store(connection, {DAY: ROWS, DAY + ONE_DAY: ROWS}, raw={DAY: b"a", DAY + ONE_DAY: b"a"})
    store(connection, {DAY: ROWS}, raw={DAY: b"a"}, organization="beta")
    store(connection, {DAY: ROWS}, raw={DAY: b"a"}, grouping=BY_KEY)
    assert stored_bodies(connection) == [b"a"] * 4


def test_only_the_newest_version_of_a_provisional_day_is_stored(connection: Connection) -> None:
    for body in (b"at noon", b"at night"):
        store(connection, {DAY: ROWS}, raw={DAY: body}, provisional=[DAY])
    assert stored_bodies(connection) == [b"at night"]
    store(connection, {DAY: ROWS}, raw={DAY: b"settled"})
    assert stored_bodies(connection) == [b"settled"]
    store(connection, {DAY: ROWS}, raw={DAY: b"restated"})
    assert stored_bodies(connection) == [b"settled", b"restated"]


def test_unchanged_provisional_body_becomes_settled(connection: Connection) -> None:
    store(connection, {DAY: ROWS}, raw={DAY: b"same"}, provisional=[DAY])
    store(connection, {DAY: ROWS}, raw={DAY: b"same"})
    assert stored_bodies(connection) == [b"same"]
    assert connection.execute("select provisional from openai_costs.raw_buckets").fetchall() == [(False,)]


def test_provisional_bytes_of_other_days_and_organizations_stay(connection: Connection) -> None:
    tomorrow = DAY + ONE_DAY
    store(connection, {DAY: ROWS, tomorrow: ROWS}, raw={DAY: b"a", tomorrow: b"b"}, provisional=[DAY, tomorrow])
    store(connection, {DAY: ROWS}, raw={DAY: b"c"}, provisional=[DAY], organization="beta")
    store(connection, {DAY: ROWS}, raw={DAY: b"d"})
    assert sorted(stored_bodies(connection)) == [b"b", b"c", b"d"]
