"""FOCUS files hold a month to the last digit, in the types that FOCUS asks for, whole or not at all."""

from __future__ import annotations

import csv
import datetime as dt
import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from openai_costs_dagster.report import focus_export as report
from openai_costs_dagster.report import focus_files
from openai_costs_dagster.report.atomic_file import NotWritable
from openai_costs_dagster.report.focus_export import ExportResult, NoStoredDays, export
from openai_costs_dagster.report.focus_files import TooManyDigits, UnknownFormat
from openai_costs_dagster.warehouse import organizations
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.focus import Digits, Month, Wanted

from ..spend.strategies import LARGEST, SMALLEST, any_amounts
from ..warehouse.windows import DAY, row, store

MARCH = Wanted(Month(2026, 3), ["acme"])
WITHIN_76_DIGITS = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
    st.integers(0, 1),
    st.integers(0, 10**34 - 1),
    st.integers(-40, 2),
)


def write(connection: Connection, folder: Path, *endings: str, wanted: Wanted = MARCH) -> ExportResult:
    return export(connection, wanted, [folder / f"march.{ending}" for ending in endings])


def cells(folder: Path) -> list[dict[str, str]]:
    with (folder / "march.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(folder: Path) -> pa.Table:
    return parquet.read_table(folder / "march.parquet")


def amounts_stored(connection: Connection) -> list[Decimal]:
    found = connection.execute("select amount from openai_costs.daily_costs where amount is not null")
    return sorted(amount for (amount,) in found)


@given(amounts=st.lists(any_amounts, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_any_amount_comes_through_csv_exactly_and_as_plain_text(
    database: Database, tmp_path: Path, amounts: list[Decimal]
) -> None:
    with database.connect() as connection:
        store(connection, {DAY: [row(amount, f"item {place}") for place, amount in enumerate(amounts)]})
        write(connection, tmp_path, "csv")
        spelled = [one["BilledCost"] for one in cells(tmp_path)]
        assert all(set(text) <= set("-.0123456789") for text in spelled)
        assert sorted(map(Decimal, spelled)) == amounts_stored(connection)


@given(amounts=st.lists(WITHIN_76_DIGITS, max_size=5), quantity=st.none() | WITHIN_76_DIGITS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_any_34_digits_come_through_parquet_exactly(
    database: Database, tmp_path: Path, amounts: list[Decimal], quantity: Decimal | None
) -> None:
    with database.connect() as connection:
        store(
            connection,
            {
                DAY: [
                    row(amount, f"item {place}", quantity=quantity, quantity_unit="tokens")
                    for place, amount in enumerate(amounts)
                ]
            },
        )
        exported = write(connection, tmp_path, "parquet", "csv")
        found = table(tmp_path)
        assert sorted(found["BilledCost"].to_pylist()) == amounts_stored(connection)
        for name in ("BilledCost", "ConsumedQuantity", "ContractedUnitPrice"):
            assert pa.types.is_decimal(found.schema.field(name).type)
            spelled = [Decimal(one[name]) if one[name] else None for one in cells(tmp_path)]
            assert spelled == found[name].to_pylist()
        assert exported.rows == len(amounts)
        assert (
            exported.billed.get("USD", 0)
            == (
                connection.execute("select coalesce(sum(amount), 0) from openai_costs.daily_costs").fetchone() or [None]
            )[0]
        )


@pytest.mark.parametrize(
    ("digits", "kind"),
    [
        (Digits(1, 0), pa.decimal128(38, 0)),
        (Digits(4, 34), pa.decimal128(38, 34)),
        (Digits(5, 34), pa.decimal256(76, 34)),
        (Digits(36, 40), pa.decimal256(76, 40)),
    ],
)
def test_the_scale_is_the_smallest_that_holds_every_digit(digits: Digits, kind: Any) -> None:
    assert focus_files.decimal_type("BilledCost", digits) == kind


@pytest.mark.parametrize("amounts", [[SMALLEST], [LARGEST], ["1E+40", "1E-40"]])
def test_a_number_that_no_decimal_of_parquet_holds_is_refused_and_leaves_nothing(
    connection: Connection, tmp_path: Path, amounts: Sequence[str | Decimal]
) -> None:
    store(connection, {DAY: [row(amount, str(amount)) for amount in amounts]})
    with pytest.raises(TooManyDigits, match=r"BilledCost needs \d+ digits, .* export \.csv instead"):
        write(connection, tmp_path, "csv", "parquet")
    assert list(tmp_path.iterdir()) == []
    write(connection, tmp_path, "csv")
    assert {Decimal(one["BilledCost"]) for one in cells(tmp_path)} == {Decimal(amount) for amount in amounts}


def test_times_are_rfc_3339_in_utc_and_null_is_nothing(connection: Connection, tmp_path: Path) -> None:
    store(connection, {DAY: [row("1", None, project_id=None)]})
    write(connection, tmp_path, "csv", "parquet")
    (one,) = cells(tmp_path)
    assert (one["BillingPeriodStart"], one["BillingPeriodEnd"]) == ("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")
    assert (one["ChargePeriodStart"], one["ChargePeriodEnd"]) == ("2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z")
    assert (one["x_FetchedAt"], one["x_Provisional"]) == ("2026-03-11T14:30:00Z", "false")
    assert {one[name] for name in ("SubAccountId", "ChargeDescription", "ListUnitPrice", "RegionId")} == {""}
    found = table(tmp_path)
    assert found.schema.field("ChargePeriodStart").type == pa.timestamp("us", tz="UTC")
    assert found["ChargePeriodStart"].to_pylist() == [dt.datetime(2026, 3, 2, tzinfo=dt.UTC)]
    assert found["SubAccountId"].to_pylist() == [None]
    assert found.schema.metadata[b"focus_version"] == b"1.2"
    assert list(one) == found.schema.names


@pytest.mark.parametrize("hostile", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_that_a_spreadsheet_would_run_is_tamed_and_numbers_stay_numbers(
    connection: Connection, tmp_path: Path, hostile: str
) -> None:
    store(connection, {DAY: [row("-3.5", hostile)]})
    write(connection, tmp_path, "csv", "parquet")
    (one,) = cells(tmp_path)
    assert one["ChargeDescription"] == one["SkuPriceId"] == f"'{hostile}"
    assert one["BilledCost"] == "-3.5"
    assert table(tmp_path)["ChargeDescription"].to_pylist() == [hostile]  # Parquet runs nothing


def test_text_is_dictionary_encoded_in_parquet(connection: Connection, tmp_path: Path) -> None:
    store(connection, {DAY: [row("1", f"item {place}") for place in range(20)]})
    write(connection, tmp_path, "parquet")
    group = parquet.ParquetFile(tmp_path / "march.parquet").metadata.row_group(0)
    encodings = {group.column(n).path_in_schema: group.column(n).encodings for n in range(group.num_columns)}
    assert "RLE_DICTIONARY" in encodings["ServiceName"]
    assert "RLE_DICTIONARY" not in encodings["BilledCost"]


def test_only_the_month_and_the_organizations_asked_for_are_written(connection: Connection, tmp_path: Path) -> None:
    for name in ("acme", "beta", "gone"):
        for day in (dt.date(2026, 2, 28), dt.date(2026, 3, 1), dt.date(2026, 3, 31), dt.date(2026, 4, 1)):
            store(connection, {day: [row("1")]}, organization=name)
    exported = write(connection, tmp_path, "csv", wanted=Wanted(Month(2026, 3), ["acme", "beta"]))
    assert [(one["x_UsageDate"], one["x_Organization"]) for one in cells(tmp_path)] == [
        ("2026-03-01", "acme"),
        ("2026-03-01", "beta"),
        ("2026-03-31", "acme"),
        ("2026-03-31", "beta"),
    ]
    assert (exported.rows, exported.billed) == (4, {"USD": Decimal(4)})


def test_rows_without_an_amount_are_left_out_and_counted(connection: Connection, tmp_path: Path) -> None:
    store(connection, {DAY: [row(None), row("2"), row(None, "x")]})
    exported = write(connection, tmp_path, "csv")
    assert (exported.rows, exported.days.left_out, len(cells(tmp_path))) == (1, 2, 1)


def test_a_month_is_provisional_until_all_of_its_days_are_settled(connection: Connection, tmp_path: Path) -> None:
    organizations.enrol(connection, "acme", display_name=None, start_date=dt.date(2026, 2, 27))
    february = Wanted(Month(2026, 2), ["acme"])
    days = [dt.date(2026, 2, 27), dt.date(2026, 2, 28)]
    store(connection, {days[0]: [row("1")]})
    assert write(connection, tmp_path, "csv", wanted=february).provisional
    store(connection, {days[1]: [row("1")]}, provisional=[days[1]])
    assert write(connection, tmp_path, "csv", wanted=february).provisional
    store(connection, {days[1]: [row("1")]})
    assert not write(connection, tmp_path, "csv", wanted=february).provisional


def test_a_month_of_quiet_days_is_a_file_without_rows(connection: Connection, tmp_path: Path) -> None:
    store(connection, {DAY: []})
    exported = write(connection, tmp_path, "csv", "parquet")
    assert (exported.rows, exported.billed) == (0, {})
    assert cells(tmp_path) == []
    assert table(tmp_path).num_rows == 0


def test_a_month_of_which_nothing_is_stored_is_refused(connection: Connection, tmp_path: Path) -> None:
    store(connection, {DAY: [row("1")]})
    april = Wanted(Month(2026, 4), ["acme"])
    with pytest.raises(NoStoredDays, match=r"2026-04 is stored for acme: run .* --from 2026-04-01 --to 2026-04-30"):
        write(connection, tmp_path, "csv", wanted=april)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["march.xlsx", "march", "march.csv.gz"])
def test_an_unknown_ending_is_refused(connection: Connection, tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownFormat, match=r"use \.csv or \.parquet"):
        export(connection, MARCH, [tmp_path / name])


def test_an_export_that_breaks_leaves_the_file_before_it(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(connection, {DAY: [row("1", str(place)) for place in range(10)]})
    write(connection, tmp_path, "csv", "parquet")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(report, "_BATCH_ROWS", 4)
    whole = focus_files.CsvFile.write
    batches: list[int] = []

    def breaks(self: focus_files.CsvFile, rows: Sequence[tuple[Any, ...]]) -> None:
        whole(self, rows)
        batches.append(len(rows))
        if len(batches) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(focus_files.CsvFile, "write", breaks)
    with pytest.raises(NotWritable, match="cannot be written: No space left on device"):
        write(connection, tmp_path, "csv", "parquet")
    assert batches == [4, 4]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_is_not_there_is_told(connection: Connection, tmp_path: Path) -> None:
    store(connection, {DAY: [row("1")]})
    for ending in ("csv", "parquet"):
        with pytest.raises(NotWritable, match="cannot be written: No such file or directory"):
            write(connection, tmp_path / "nowhere", ending)


def test_memory_does_not_grow_with_the_rows(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_BATCH_ROWS", 200)

    def peak(rows: int) -> int:
        store(connection, {DAY: [row("1.5", f"item {place}") for place in range(rows)]})
        tracemalloc.start()
        try:
            assert write(connection, tmp_path, "csv", "parquet").rows == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)  # imports
    assert peak(6000) < 1.5 * peak(600)
