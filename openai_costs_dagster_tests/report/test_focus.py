"""Tests of FOCUS export files: exact decimals, column types, formula escaping and atomic replacement."""

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

from openai_costs_dagster.report import focus_export, focus_files
from openai_costs_dagster.report.atomic_file import NotWritable
from openai_costs_dagster.report.focus_export import ExportResult, NoStoredDays, export
from openai_costs_dagster.report.focus_files import TooManyDigits, UnknownFormat
from openai_costs_dagster.warehouse import organizations
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.focus import Digits, Month, Selection

from ..spend.strategies import LARGEST, SMALLEST, any_amounts
from ..warehouse.windows import DAY, row, store

MARCH = Selection(Month(2026, 3), ["acme"])
WITHIN_76_DIGITS = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
    st.integers(0, 1),
    st.integers(0, 10**34 - 1),
    st.integers(-40, 2),
)


def write(connection: Connection, folder: Path, *suffixes: str, selection: Selection = MARCH) -> ExportResult:
    return export(connection, selection, [folder / f"march.{suffix}" for suffix in suffixes])


def cells(folder: Path) -> list[dict[str, str]]:
    with (folder / "march.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(folder: Path) -> pa.Table:
    return parquet.read_table(folder / "march.parquet")


def stored_amounts(connection: Connection) -> list[Decimal]:
    found = connection.execute("select amount from openai_costs.daily_costs where amount is not null")
    return sorted(amount for (amount,) in found)


@given(amounts=st.lists(any_amounts, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_csv_contains_exact_amounts_without_exponent(
    database: Database, tmp_path: Path, amounts: list[Decimal]
) -> None:
    with database.connect() as connection:
        store(connection, {DAY: [row(amount, f"item {number}") for number, amount in enumerate(amounts)]})
        write(connection, tmp_path, "csv")
        formatted = [line["BilledCost"] for line in cells(tmp_path)]
        assert all(set(text) <= set("-.0123456789") for text in formatted)
        assert sorted(map(Decimal, formatted)) == stored_amounts(connection)


@given(amounts=st.lists(WITHIN_76_DIGITS, max_size=5), quantity=st.none() | WITHIN_76_DIGITS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_parquet_contains_exact_amounts_of_34_digits(
    database: Database, tmp_path: Path, amounts: list[Decimal], quantity: Decimal | None
) -> None:
    with database.connect() as connection:
        store(
            connection,
            {
                DAY: [
                    row(amount, f"item {number}", quantity=quantity, quantity_unit="tokens")
                    for number, amount in enumerate(amounts)
                ]
            },
        )
        exported = write(connection, tmp_path, "parquet", "csv")
        found = table(tmp_path)
        assert sorted(found["BilledCost"].to_pylist()) == stored_amounts(connection)
        for name in ("BilledCost", "ConsumedQuantity", "ContractedUnitPrice"):
            assert pa.types.is_decimal(found.schema.field(name).type)
            formatted = [Decimal(line[name]) if line[name] else None for line in cells(tmp_path)]
            assert formatted == found[name].to_pylist()
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
def test_decimal_type_has_the_smallest_sufficient_scale(digits: Digits, kind: Any) -> None:
    assert focus_files.decimal_type("BilledCost", digits) == kind


@pytest.mark.parametrize("amounts", [[SMALLEST], [LARGEST], ["1E+40", "1E-40"]])
def test_number_of_more_than_76_digits_is_refused_and_leaves_no_file(
    connection: Connection, tmp_path: Path, amounts: Sequence[str | Decimal]
) -> None:
    store(connection, {DAY: [row(amount, str(amount)) for amount in amounts]})
    with pytest.raises(TooManyDigits, match=r"BilledCost needs \d+ digits, .* export \.csv instead"):
        write(connection, tmp_path, "csv", "parquet")
    assert list(tmp_path.iterdir()) == []
    write(connection, tmp_path, "csv")
    assert {Decimal(line["BilledCost"]) for line in cells(tmp_path)} == {Decimal(amount) for amount in amounts}


def test_times_are_rfc_3339_in_utc_and_null_is_empty(connection: Connection, tmp_path: Path) -> None:
    store(connection, {DAY: [row("1", None, project_id=None)]})
    write(connection, tmp_path, "csv", "parquet")
    (line,) = cells(tmp_path)
    assert (line["BillingPeriodStart"], line["BillingPeriodEnd"]) == ("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")
    assert (line["ChargePeriodStart"], line["ChargePeriodEnd"]) == ("2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z")
    assert (line["x_FetchedAt"], line["x_Provisional"]) == ("2026-03-11T14:30:00Z", "false")
    assert {line[name] for name in ("SubAccountId", "ChargeDescription", "ListUnitPrice", "RegionId")} == {""}
    found = table(tmp_path)
    assert found.schema.field("ChargePeriodStart").type == pa.timestamp("us", tz="UTC")
    assert found["ChargePeriodStart"].to_pylist() == [dt.datetime(2026, 3, 2, tzinfo=dt.UTC)]
    assert found["SubAccountId"].to_pylist() == [None]
    assert found.schema.metadata[b"focus_version"] == b"1.2"
    assert list(line) == found.schema.names


@pytest.mark.parametrize("hostile", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_are_escaped_and_negative_numbers_are_not(
    connection: Connection, tmp_path: Path, hostile: str
) -> None:
    store(connection, {DAY: [row("-3.5", hostile)]})
    write(connection, tmp_path, "csv", "parquet")
    (line,) = cells(tmp_path)
    assert line["ChargeDescription"] == line["SkuPriceId"] == f"'{hostile}"
    assert line["BilledCost"] == "-3.5"
    # No tool evaluates the text of Parquet files as formulas.
    assert table(tmp_path)["ChargeDescription"].to_pylist() == [hostile]


def test_text_is_dictionary_encoded_in_parquet(connection: Connection, tmp_path: Path) -> None:
    store(connection, {DAY: [row("1", f"item {number}") for number in range(20)]})
    write(connection, tmp_path, "parquet")
    group = parquet.ParquetFile(tmp_path / "march.parquet").metadata.row_group(0)
    encodings = {group.column(n).path_in_schema: group.column(n).encodings for n in range(group.num_columns)}
    assert "RLE_DICTIONARY" in encodings["ServiceName"]
    assert "RLE_DICTIONARY" not in encodings["BilledCost"]


def test_export_contains_only_the_selected_month_and_organizations(connection: Connection, tmp_path: Path) -> None:
    for name in ("acme", "beta", "gone"):
        for day in (dt.date(2026, 2, 28), dt.date(2026, 3, 1), dt.date(2026, 3, 31), dt.date(2026, 4, 1)):
            store(connection, {day: [row("1")]}, organization=name)
    exported = write(connection, tmp_path, "csv", selection=Selection(Month(2026, 3), ["acme", "beta"]))
    assert [(line["x_UsageDate"], line["x_Organization"]) for line in cells(tmp_path)] == [
        ("2026-03-01", "acme"),
        ("2026-03-01", "beta"),
        ("2026-03-31", "acme"),
        ("2026-03-31", "beta"),
    ]
    assert (exported.rows, exported.billed) == (4, {"USD": Decimal(4)})


def test_rows_without_amount_are_excluded_and_counted(connection: Connection, tmp_path: Path) -> None:
    store(connection, {DAY: [row(None), row("2"), row(None, "x")]})
    exported = write(connection, tmp_path, "csv")
    assert (exported.rows, exported.days.left_out, len(cells(tmp_path))) == (1, 2, 1)


def test_month_is_provisional_until_all_days_are_settled(connection: Connection, tmp_path: Path) -> None:
    organizations.register(connection, "acme", display_name=None, start_date=dt.date(2026, 2, 27))
    february = Selection(Month(2026, 2), ["acme"])
    days = [dt.date(2026, 2, 27), dt.date(2026, 2, 28)]
    store(connection, {days[0]: [row("1")]})
    assert write(connection, tmp_path, "csv", selection=february).provisional
    store(connection, {days[1]: [row("1")]}, provisional=[days[1]])
    assert write(connection, tmp_path, "csv", selection=february).provisional
    store(connection, {days[1]: [row("1")]})
    assert not write(connection, tmp_path, "csv", selection=february).provisional


def test_month_without_spend_is_exported_without_rows(connection: Connection, tmp_path: Path) -> None:
    store(connection, {DAY: []})
    exported = write(connection, tmp_path, "csv", "parquet")
    assert (exported.rows, exported.billed) == (0, {})
    assert cells(tmp_path) == []
    assert table(tmp_path).num_rows == 0


_BACKFILL = "run openai-costs backfill --org acme --from"


@pytest.mark.parametrize(
    ("today", "history", "remedy"),
    [
        (dt.date(2026, 12, 1), "null, null", f"{_BACKFILL} 2026-04-01 --to 2026-04-30 first"),
        (dt.date(2026, 4, 9), "null, null", f"{_BACKFILL} 2026-04-01 --to 2026-04-09 first"),
        (dt.date(2027, 4, 20), "null, null", f"{_BACKFILL} 2026-04-20 --to 2026-04-30 first"),
        (dt.date(2026, 12, 1), "null, '2026-04-11'", f"{_BACKFILL} 2026-04-11 --to 2026-04-30 first"),
        (dt.date(2026, 12, 1), "'2026-05-02', null", "it is before the history, which begins on 2026-05-02: only"),
        (dt.date(2026, 3, 31), "null, null", "the month is in the future, because today is 2026-03-31 in UTC"),
        (dt.date(2027, 5, 1), "null, null", "it can no longer be read, because OpenAI serves no day before 2026-05"),
        (
            dt.date(2029, 1, 1),
            "'2026-01-01', null",
            "it can no longer be read, because OpenAI serves no day",
        ),
    ],
)
def test_month_without_stored_days_is_refused_with_a_remedy_that_can_help(
    connection: Connection, tmp_path: Path, today: dt.date, history: str, remedy: str
) -> None:
    store(connection, {DAY: [row("1")]})
    organizations.register(connection, "acme", display_name=None, start_date=None)
    connection.execute(
        f"update openai_costs.organizations set (start_date, earliest_day) = ({history})"  # noqa: S608  # constants
    )
    april = Selection(Month(2026, 4), ["acme"])
    with pytest.raises(NoStoredDays) as raised:
        export(connection, april, [tmp_path / "april.csv"], today=today)
    assert str(raised.value).startswith(f"no day of 2026-04 is stored for acme: {remedy}")
    assert list(tmp_path.iterdir()) == []


def test_month_of_an_organization_that_cannot_be_read_names_the_cause(connection: Connection, tmp_path: Path) -> None:
    store(connection, {DAY: [row("1")]})
    organizations.register(connection, "acme", display_name=None, start_date=None)
    failed_at = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
    organizations.record_failure(connection, "acme", "OpenAI does not accept the key", failed_at, permanent=True)
    april = Selection(Month(2026, 4), ["acme"])
    with pytest.raises(NoStoredDays, match=r"corrected \(acme: OpenAI does not accept the key\)$"):
        export(connection, april, [tmp_path / "april.csv"], today=dt.date(2026, 12, 1))


@pytest.mark.parametrize("name", ["march.xlsx", "march", "march.csv.gz"])
def test_unknown_suffix_is_refused(connection: Connection, tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownFormat, match=r"use \.csv or \.parquet"):
        export(connection, MARCH, [tmp_path / name])


def test_failed_export_keeps_the_previous_files(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(connection, {DAY: [row("1", str(number)) for number in range(10)]})
    write(connection, tmp_path, "csv", "parquet")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(focus_export, "_BATCH_ROWS", 4)
    write_batch = focus_files.CsvFile.write
    batches: list[int] = []

    def fail_on_second_batch(self: focus_files.CsvFile, rows: Sequence[tuple[Any, ...]]) -> None:
        write_batch(self, rows)
        batches.append(len(rows))
        if len(batches) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(focus_files.CsvFile, "write", fail_on_second_batch)
    with pytest.raises(NotWritable, match="cannot be written: the disk is full: free some space"):
        write(connection, tmp_path, "csv", "parquet")
    assert batches == [4, 4]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_missing_folder_is_reported(connection: Connection, tmp_path: Path) -> None:
    store(connection, {DAY: [row("1")]})
    for suffix in ("csv", "parquet"):
        with pytest.raises(NotWritable, match="cannot be written: No such file or directory"):
            write(connection, tmp_path / "missing", suffix)


def test_memory_does_not_grow_with_the_number_of_rows(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(focus_export, "_BATCH_ROWS", 200)

    def peak(rows: int) -> int:
        """Return the peak memory of Python in bytes during an export of `rows` rows."""
        store(connection, {DAY: [row("1.5", f"item {number}") for number in range(rows)]})
        tracemalloc.start()
        try:
            assert write(connection, tmp_path, "csv", "parquet").rows == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)  # The first export allocates memory for imports, so its peak is not compared.
    assert peak(6000) < 1.5 * peak(600)
