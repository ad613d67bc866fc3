"""Tests of storing costs: a sync window replaces exactly its days with exactly the fetched rows, or changes nothing."""

import datetime as dt
import threading
from collections.abc import Callable
from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

from openai_costs_dagster.cost_records import GROUPINGS, CostRow
from openai_costs_dagster.days import ONE_DAY, DayRange
from openai_costs_dagster.spend import money
from openai_costs_dagster.warehouse import errors
from openai_costs_dagster.warehouse.costs import ExistingDay, Staging, StoredDay, existing_days
from openai_costs_dagster.warehouse.database import Connection, Database

from ..conftest import NOW
from .windows import BY_KEY, DAY, everything, reading, row, store, stored, stored_day

HOSTILE = [
    "",
    " ",
    "\\N",
    "\\.",
    "\\",
    "\t",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "'; drop table openai_costs.cost_rows; --",
    '"',
    "%s %(day)s %%",
    "{}",
    "null",
    "NaN",
    "Müller's 🧪 工坊",
    "\u202eright to left",
    "e\u0301",
    "\x01\x7f\x85",
    "x" * 3000,
]
texts = (
    st.none()
    | st.sampled_from(HOSTILE)
    # PostgreSQL cannot store NUL characters or surrogates in text.
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)
amounts = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
    st.integers(0, 1),
    st.integers(0, 10**34 - 1),
    st.integers(-40, 6) | st.integers(-6176, 6111),
)
rows_of_a_day = st.lists(
    st.builds(
        CostRow,
        project_id=texts,
        user_id=texts,
        api_key_id=texts,
        line_item=texts,
        currency=st.sampled_from([None, "", "usd", "eur"]),
        quantity_unit=st.sampled_from([None, "", "tokens"]),
        amount=st.none() | amounts,
        quantity=st.none() | amounts,
    ),
    unique_by=lambda cost: cost[:6],
    max_size=8,
)


def as_found(rows: list[CostRow]) -> list[str]:
    """Return rows in a fixed order, with equal numbers written equally: 1.50 becomes 1.5."""
    return sorted(
        repr([money.normalised(value) if isinstance(value, Decimal) else value for value in row]) for row in rows
    )


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_of_a_day)
@example(rows=[row(None), row("1", ""), row("2", None), row("3", None, None), row("4", "\\N"), row("5", "\\\\N")])
@example(rows=[row("0.1234567890123456789012345678901234"), row("9999999999999999999999999999999999", "b")])
@example(rows=[row("1E-6176"), row("9.999999999999999999999999999999999E+6144", "b")])
def test_stored_rows_equal_loaded_rows_for_any_text_and_amount(connection: Connection, rows: list[CostRow]) -> None:
    store(
        connection, {DAY: [cost._replace(amount=normal(cost.amount), quantity=normal(cost.quantity)) for cost in rows]}
    )
    assert as_found(stored(connection).get(DAY, [])) == as_found(rows)


def normal(number: Decimal | None) -> Decimal | None:
    return None if number is None else money.normalised(number)


def test_sum_over_a_view_is_exact_beyond_a_double_and_beyond_28_digits(connection: Connection) -> None:
    many = [row("0.1000000000000000000000000000000001", f"item {number}") for number in range(10_000)]
    store(connection, {DAY: many})
    found = connection.execute("select sum(amount), count(*) from openai_costs.daily_costs").fetchone()
    assert found == (Decimal("1000.0000000000000000000000000000010000"), 10_000)


def test_window_replaces_its_own_days_only(connection: Connection) -> None:
    before, first, last, after = (DAY + n * ONE_DAY for n in range(4))
    store(connection, {day: [row("1"), row("2", "b")] for day in (before, first, last, after)})
    store(connection, {day: [row("9", "theirs")] for day in (first, last)}, organization="beta")
    outside = {day: rows for day, rows in stored(connection).items() if day in (before, after)}
    store(connection, {first: [row("3", "c")], last: []})
    assert stored(connection) == {**outside, first: [row("3", "c")]}
    assert stored(connection, "beta") == {day: [row("9", "theirs")] for day in (first, last)}


def test_empty_day_is_stored_without_rows(connection: Connection) -> None:
    store(connection, {DAY: []}, grouping=BY_KEY)
    assert stored(connection) == {}
    assert existing_days(connection, "acme", DayRange(DAY, DAY)) == {
        DAY: ExistingDay(
            DAY,
            provisional=False,
            grouping="project,line_item,api_key",
            row_count=0,
            amount_usd=Decimal(0),
            is_billed=False,
        )
    }


def test_only_us_dollars_make_the_amount_in_us_dollars(connection: Connection) -> None:
    store(connection, {DAY: [row("1"), row("2", currency="eur"), row("4", currency=None), row(None, "b")]})
    assert existing_days(connection, "acme", DayRange(DAY, DAY))[DAY].amount_usd == 1


def test_day_in_another_currency_counts_as_billed(connection: Connection) -> None:
    store(connection, {DAY: [row("90000", currency="jpy")]})
    (known,) = existing_days(connection, "acme", DayRange(DAY, DAY)).values()
    assert known.amount_usd == 0
    assert known.is_billed


def test_summary_of_a_day_is_stored_with_its_rows(connection: Connection) -> None:
    staging = Staging(connection)
    staging.add(DAY, [row("1"), row(None, "b")], b"{}")
    day = stored_day(
        DAY,
        [row("1"), row(None, "b")],
        provisional=True,
        received_count=3,
        reconciled=False,
        reconcile_difference=Decimal("-0.25"),
    )
    staging.commit(reading(DayRange(DAY, DAY)), [day], now=NOW + dt.timedelta(minutes=1))
    found = connection.execute(
        """
        select
            day.row_count, day.received_count, day.absent_amounts, day.reconciled, day.reconcile_difference,
            day.provisional, day.fetched_at, reading.stored_at, reading.requests, reading.trigger
        from openai_costs.cost_days as day
        join openai_costs.sync_windows as reading using (sync_window_id)
        """
    ).fetchall()
    stored_at = NOW + dt.timedelta(minutes=1)
    assert found == [(2, 3, 1, False, Decimal("-0.25"), True, NOW, stored_at, 2, "manual")]


def test_day_that_is_staged_twice_is_stored_once(connection: Connection) -> None:
    staging = Staging(connection)
    tomorrow = DAY + ONE_DAY
    staging.add(DAY, [row("1")], b"first reading")
    staging.add(tomorrow, [row("2")], b"first reading")
    staging.forget(DayRange(DAY, DAY))
    staging.add(DAY, [row("3")], b"second reading")
    staging.commit(
        reading(DayRange(DAY, tomorrow)), [stored_day(DAY, [row("3")]), stored_day(tomorrow, [row("2")])], now=NOW
    )
    assert stored(connection) == {DAY: [row("3")], tomorrow: [row("2")]}
    assert connection.execute("select count(*) from openai_costs.raw_buckets").fetchone() == (2,)


def test_staged_days_of_a_failed_window_are_discarded(connection: Connection) -> None:
    staging = Staging(connection)
    staging.add(DAY, [row("1")], b"body of the failed window")
    staging.clear()
    staging.add(DAY, [row("2")], b"body of the next window")
    staging.commit(reading(DayRange(DAY, DAY)), [stored_day(DAY, [row("2")])], now=NOW)
    assert stored(connection) == {DAY: [row("2")]}


READ = [row("1.25"), row("2.5", "b"), row("4", "c", currency="eur")]


@pytest.mark.parametrize(
    "stored_days",
    [
        pytest.param(lambda: [stored_day(DAY, READ, row_count=2)], id="a row too many"),
        pytest.param(lambda: [stored_day(DAY, READ, row_count=4)], id="a row too few"),
        pytest.param(
            lambda: [stored_day(DAY, READ, totals={"usd": Decimal("3.76"), "eur": Decimal(4)})], id="another sum"
        ),
        pytest.param(lambda: [stored_day(DAY, READ, totals={"usd": Decimal("3.75")})], id="a currency without a total"),
        pytest.param(
            lambda: [stored_day(DAY, READ, totals={"usd": Decimal("3.75"), "eur": Decimal(4), "gbp": Decimal(1)})],
            id="a currency that was not stored",
        ),
        pytest.param(lambda: [stored_day(DAY, READ), stored_day(DAY + ONE_DAY, [])], id="a day that was not requested"),
        pytest.param(list, id="no day at all"),
    ],
)
def test_mismatch_of_fetched_and_stored_rows_rolls_back(
    connection: Connection, stored_days: Callable[[], list[StoredDay]]
) -> None:
    store(connection, {DAY: [row("7", "before")]})
    before = everything(connection)
    staging = Staging(connection)
    staging.add(DAY, READ, b"{}")
    with pytest.raises(errors.LoadMismatch, match="acme"):
        staging.commit(reading(DayRange(DAY, DAY)), stored_days(), now=NOW)
    assert everything(connection) == before


def test_staged_day_outside_the_window_is_a_mismatch(connection: Connection) -> None:
    store(connection, {DAY + ONE_DAY: [row("7", "before")]})
    before = everything(connection)
    staging = Staging(connection)
    for day in (DAY, DAY + ONE_DAY):
        staging.add(day, [row("1")], b"{}")
    with pytest.raises(errors.LoadMismatch):
        staging.commit(reading(DayRange(DAY, DAY)), [stored_day(DAY, [row("1")])], now=NOW)
    assert everything(connection) == before


def test_connection_killed_before_the_commit_leaves_nothing(database: Database, connection: Connection) -> None:
    store(connection, {DAY: [row("7", "before")]})
    before = everything(connection)
    outcome: list[BaseException] = []
    pid: list[int] = []

    def commit() -> None:
        try:
            with database.connect() as own:
                pid.append(own.info.backend_pid)
                store(own, {DAY: READ})
        except errors.WarehouseError as error:
            outcome.append(error)

    with database.connect() as gate, gate.transaction():
        # The commit of the sync window waits for this lock.
        gate.execute("lock table openai_costs.sync_windows in access exclusive mode")
        thread = threading.Thread(target=commit)
        thread.start()
        _wait_until_blocked(connection, thread, pid)
        connection.execute("select pg_terminate_backend(%s)", [pid[0]])
        thread.join(30)
    assert [type(error) for error in outcome] == [errors.DatabaseUnavailable]
    assert everything(connection) == before


def _wait_until_blocked(connection: Connection, thread: threading.Thread, pid: list[int]) -> None:
    while not pid or connection.execute("select pg_blocking_pids(%s)", [pid[0]]).fetchone() == ([],):
        assert thread.is_alive()


def test_other_sessions_never_read_a_partial_window(
    database: Database, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    tomorrow = DAY + ONE_DAY
    old, new = {DAY: [row("1")], tomorrow: [row("2")]}, {DAY: [row("3")], tomorrow: [row("4")]}
    store(connection, old)
    concurrent_reads: list[object] = []
    with database.connect() as other:
        verify = Staging._verify

        def read_and_verify(*arguments: object) -> None:
            concurrent_reads.append(stored(other))
            verify(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(Staging, "_verify", read_and_verify)
        store(connection, new)
        assert concurrent_reads == [old]
        assert stored(other) == new


@pytest.mark.parametrize("grouping", GROUPINGS)
def test_row_has_the_grouping_of_its_day(connection: Connection, grouping: frozenset[str]) -> None:
    store(connection, {DAY: [row("1")]}, grouping=grouping)
    words = connection.execute("select grouping from openai_costs.daily_costs").fetchone()
    assert words
    assert {f"{word}_id" if word != "line_item" else word for word in words[0].split(",")} == grouping
