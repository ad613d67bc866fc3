"""Tests of `export focus`, which writes the bill of a month in the FOCUS format."""

from __future__ import annotations

import csv
import datetime as dt
import re
from decimal import Decimal
from pathlib import Path

import pytest
from pyarrow import parquet

from openai_costs_dagster.warehouse.database import Database

from ..loaded import Loaded
from ..midnight import today
from ..warehouse.windows import row, store, total
from .conftest import RunCommand
from .program import Finished, lines
from .test_mistakes import assert_one_sentence

TWO = "organizations:\n  acme: {admin_key: {env: ACME_KEY}}\n  beta: {admin_key: {env: BETA_KEY}}\n"
DATABASE = "database: {url: {env: DATABASE_URL}}\n"
JANUARY = [dt.date(2026, 1, day) for day in range(1, 32)]


@pytest.fixture
def export(run_command: RunCommand, tmp_path: Path, database: Database) -> RunCommand:
    """Return a function that runs `export focus` for two organizations, `acme` and `beta`.

    All days of January 2026 are stored for both organizations, and one provisional day of February for `acme`.
    """
    with database.connect() as connection:
        store(connection, {day: [row("0.1"), row(None, "whisper")] for day in JANUARY})
        store(connection, {day: [row("2", currency="eur")] for day in JANUARY}, organization="beta")
        february = dt.date(2026, 2, 1)
        store(connection, {february: [row("7")]}, provisional=[february])
    (tmp_path / "openai_costs.yaml").write_text(TWO + DATABASE)

    def run(*command: str, **environment: str) -> Finished:
        return run_command("export", "focus", *command, DATABASE_URL=database.url, **environment)

    return run


def test_export_prints_written_and_omitted_rows(export: RunCommand, tmp_path: Path) -> None:
    finished = export("--month", "2026-01", "--out", "january.csv")
    assert (finished.code, finished.err) == (0, "")
    assert lines(finished.out) == [
        "2026-01: 62 rows, 62 EUR, 3.1 USD: january.csv",
        "left out: 31 rows without an amount",
        "the month is settled",
    ]
    with (tmp_path / "january.csv").open(newline="") as file:
        assert sum(Decimal(charge["BilledCost"]) for charge in csv.DictReader(file)) == Decimal("65.1")


def test_suffix_selects_the_format_and_org_the_organizations(export: RunCommand, tmp_path: Path) -> None:
    finished = export("--month", "2026-01", "--out", "beta.PARQUET", "--org", "beta", "--org", "beta")
    assert lines(finished.out) == ["2026-01: 31 rows, 62 EUR: beta.PARQUET", "the month is settled"]
    assert set(parquet.read_table(tmp_path / "beta.PARQUET")["x_Organization"].to_pylist()) == {"beta"}


def test_unsettled_month_is_printed_as_provisional(export: RunCommand) -> None:
    finished = export("--month", "2026-02", "--out", "february.csv")
    assert finished.code == 0
    assert lines(finished.out)[-1] == "the month is provisional: it may still change"


def test_month_without_data_is_refused_and_writes_no_file(export: RunCommand, tmp_path: Path) -> None:
    finished = export("--month", "2020-06", "--out", "june.csv")
    assert_one_sentence(finished, 1, "no day of 2020-06 is stored for acme, beta: it can no longer be read")
    assert {path.name for path in tmp_path.iterdir()} <= {"openai_costs.yaml", ".openai-costs"}


@pytest.mark.parametrize("out", ["nowhere/january.csv", "nowhere/january.parquet", "folder.csv"])
def test_unwritable_file_is_refused(export: RunCommand, tmp_path: Path, out: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    finished = export("--month", "2026-01", "--out", out)
    assert_one_sentence(finished, 2, f"{out} cannot be written: (No such file|Is a directory)")
    assert {path.name for path in tmp_path.iterdir()} <= {"openai_costs.yaml", ".openai-costs", "folder.csv"}


def test_backfilled_month_is_exported(loaded: Loaded) -> None:
    month = f"{today():%Y-%m}"
    finished = loaded.place.run("export", "focus", "--month", month, "--out", "running.parquet", "--org", "acme")
    assert (finished.code, finished.err) == (0, "")
    assert re.match(rf"{month}: [\d,]+ rows, [\d.]+ USD: running.parquet\n", finished.out)
    ((billed,),) = loaded.place.sql(
        "select sum(amount) from openai_costs.daily_costs where organization = 'acme' and usage_date >= %s",
        today().replace(day=1),
    )
    costs = parquet.read_table(loaded.place.folder / "running.parquet")["BilledCost"].to_pylist()
    assert f"{billed:f} USD" in finished.out
    assert total(costs) == billed
