"""Tests of reading daily spend from CSV files: number formats, invalid dates and encodings of Windows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from openai_costs_dagster.cli import spend_csv
from openai_costs_dagster.cli.errors import InputMistake
from openai_costs_dagster.cli.spend_csv import read_spend

_HEADINGS = "organization,project,model,date,amount\n"


def _table(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "spend.csv"
    path.write_text(_HEADINGS + "".join(f"acme,search,gpt,{row}\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("amount", "value"),
    [
        ("0E-6176", Decimal(0)),
        ("0E+6111", Decimal(0)),
        ("0." + "0" * 100_000, Decimal(0)),
        ("0" * 100_000, Decimal(0)),
        ("-0", Decimal(0)),
        ("-0.00", Decimal(0)),
        ("1E+2", Decimal(100)),
        ("1." + "0" * 5_000, Decimal(1)),
        ("0" * 5_000 + "7", Decimal(7)),
        ("-12.50", Decimal("-12.50")),
        ("+3", Decimal(3)),
        ("1E-6176", Decimal("1E-6176")),
    ],
    ids=lambda value: str(value)[:20],
)
def test_amount_is_read_exactly_in_any_notation(tmp_path: Path, amount: str, value: Decimal) -> None:
    assert [leaf.amount for leaf in read_spend(_table(tmp_path, f"2026-01-01,{amount}"))] == [value]


@pytest.mark.parametrize("amount", ["NaN", "-nan", "sNaN", "Infinity", "-inf", "1E+30", "9E+999999", "$5", "1,5", ""])
def test_invalid_amount_is_rejected_with_its_line(tmp_path: Path, amount: str) -> None:
    path = _table(tmp_path, "2026-01-01,1", f'2026-01-02,"{amount}"')
    with pytest.raises(InputMistake, match=r"spend\.csv, line 3: .* is not an amount"):
        list(read_spend(path))


@pytest.mark.parametrize(
    ("days", "line", "far", "nearest"),
    [
        (["2026-01-01", "2026-01-02", "2062-01-03"], 4, "2062-01-03", "2026-01-02"),
        (["1962-01-01", "2026-01-02", "2026-01-03"], 2, "1962-01-01", "2026-01-02"),
        (["2026-01-01", "0026-01-02", "2026-01-03"], 3, "0026-01-02", "2026-01-01"),
        (["2026-01-01", "2062-01-02"], 3, "2062-01-02", "2026-01-01"),
        (["2026-01-01", "2062-01-02", "2026-01-02", "2062-01-02", "2026-01-03"], 3, "2062-01-02", "2026-01-03"),
    ],
)
def test_date_years_away_from_the_others_is_rejected_with_its_line(
    tmp_path: Path, days: list[str], line: int, far: str, nearest: str
) -> None:
    with pytest.raises(InputMistake) as raised:
        list(read_spend(_table(tmp_path, *(f"{day},1" for day in days))))
    assert f"spend.csv, line {line}: {far} is years away from all other days" in str(raised.value)
    assert str(raised.value).endswith(f"the nearest is {nearest}")


def test_last_year_of_the_calendar_is_rejected_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputMistake, match=r"line 2: '9999-12-31' is too late to be a day of spend"):
        list(read_spend(_table(tmp_path, "9999-12-31,1")))


def test_days_of_several_years_are_one_table(tmp_path: Path) -> None:
    assert len(list(read_spend(_table(tmp_path, "2017-01-01,1", "2026-01-01,1")))) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_file_of_another_system_is_read(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "spend.csv"
    text = f"{_HEADINGS.strip()}{end}acme, s\u00e9arch ,gpt, 2026-01-01 , 5 {end}"
    path.write_bytes(text.encode(encoding))
    (leaf,) = read_spend(path)
    assert (leaf.project, leaf.amount) == ("s\u00e9arch", Decimal(5))


def test_overlong_cell_is_rejected_with_its_line(tmp_path: Path) -> None:
    path = _table(tmp_path, "2026-01-01,1", "2026-01-02," + "0" * 200_000)
    with pytest.raises(InputMistake, match=r"line 3: not CSV: field larger than field limit"):
        list(read_spend(path))


def test_file_that_exceeds_the_memory_is_rejected_with_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputMistake, match="/dev/zero, line 0: not CSV: the line has more than 1,000,000 characters"):
        list(read_spend(Path("/dev/zero")))
    monkeypatch.setattr(spend_csv, "_MAX_LINES", 2)
    with pytest.raises(InputMistake, match="line 2: not CSV: the file has more than 2 lines"):
        list(read_spend(_table(tmp_path, "2026-11-20,1", "2026-11-21,1")))
