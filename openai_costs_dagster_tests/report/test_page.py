"""Tests of the rendered page: complete data, no external references, and escaped names."""

from __future__ import annotations

import dataclasses
import json
import re
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.report.contents import (
    AnomalyEntry,
    BudgetStatus,
    Comparison,
    Mover,
    OrganizationStatus,
    SpendReport,
)
from openai_costs_dagster.report.cube import Cube
from openai_costs_dagster.report.page import SCRIPTS, render
from openai_costs_dagster.warehouse.report_queries import Cell, CurrentName

from .pages import LAST, data_in, large_company, names_of, organization_status, report_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PAGE_PARTS = resources.files("openai_costs_dagster.report").joinpath("page_parts")
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}"
CELL = Cell("acme", LAST, "proj_1", "Chat completions", "gpt-5", "user-1", "key_1", Decimal("0.123456789"))
MAX_BYTES = 1_250_000


def test_page_contains_no_external_references() -> None:
    page = render(report_of([CELL]))
    assert "default-src 'none'" in page
    assert re.findall(r"""(?:src|href|action)\s*=\s*["']?(?:https?:)?//""", page) == []
    assert re.findall(r"@import|url\(", page) == []


def test_page_contains_the_complete_data() -> None:
    data = data_in(render(report_of([CELL], names=[CurrentName("acme", "user", "user-1", "Vera")])))
    assert data["cube"]["series"] == [[0, 0, 0, 0, 0, 0, 29, [123_456_789], None]]
    assert data["names"] == [["acme", "user", "user-1", "Vera"]]
    assert data["organizations"][0]["month_to_date"] == "1234.56"
    assert (data["first_day"], data["last_day"]) == ("2026-10-27", "2026-11-25")


def test_hostile_names_are_escaped() -> None:
    hostile = CELL._replace(project_id=HOSTILE, service=HOSTILE, model=HOSTILE, user_id=HOSTILE)
    report = report_of(
        [hostile],
        organizations=[organization_status("acme", title=HOSTILE)],
        names=[CurrentName("acme", "user", HOSTILE, HOSTILE)],
    )
    page = render(report)
    assert "alert(1)</script>" not in page
    assert "<img" not in page
    assert "&lt;/script&gt;" in page  # The table for browsers without JavaScript contains the title.
    assert "{{ 7 * 7 }}" in page
    assert data_in(page)["cube"]["names"]["project"] == [["acme", HOSTILE]]


def test_equal_reports_render_to_equal_pages() -> None:
    assert render(report_of([CELL])) == render(report_of([CELL]))


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_data_are_labelled(simulated: bool) -> None:
    assert ("All data on this page is simulated" in render(report_of([CELL], is_simulated=simulated))) is simulated


def test_noscript_table_shows_month_of_each_organization() -> None:
    page = render(
        report_of([CELL], organizations=[organization_status("acme"), organization_status("beta", forecast=None)])
    )
    within = page.partition("<noscript>")[2].partition("</noscript>")[0]
    assert "$1,234.56" in within
    assert within.count("$1,500.00") == 1


def test_page_links_to_dagster_only_with_a_configured_url() -> None:
    assert "Open Dagster" not in render(report_of([CELL]))
    assert 'href="https://dagster.example"' in render(report_of([CELL], dagster_url="https://dagster.example"))


def test_report_of_twenty_organizations_and_92_days_is_below_1_25_megabytes() -> None:
    cells = [cell for number in range(20) for cell in large_company(f"org{number}", 92, projects=5, users=5)]
    page = render(report_of(cells, days=92, max_numbers=100_000, names=names_of(cells)))
    assert len(cells) == 92_000
    assert len(page) < MAX_BYTES


def test_users_beyond_the_limit_are_folded() -> None:
    cells = list(large_company("acme", 60, projects=4, users=40))
    folded = data_in(render(report_of(cells, days=60, max_numbers=5_000)))["cube"]["folded"]
    assert folded["users and keys"] > 100


def test_projects_beyond_the_limit_are_folded() -> None:
    cells = [
        Cell(
            f"org{project % 4}",
            LAST - day * ONE_DAY,
            f"proj-{project}",
            "Images",
            f"gpt-{project % 5}",
            None,
            None,
            uneven_amount(project, day),
        )
        for project in range(400)
        for day in range(60)
    ]
    small = render(report_of(cells, days=60, max_numbers=5_000))
    assert len(small) < len(render(report_of(cells, days=60))) - 100_000
    assert data_in(small)["cube"]["folded"]["projects"] > 300


def uneven_amount(project: int, day: int) -> Decimal:
    return Decimal((project * 104_729 + day * 1_299_709) % 10**10) / 10**7


def declared_fields(interface: str) -> list[str]:
    """Return the field names of an interface of report.d.ts."""
    declarations = PAGE_PARTS.joinpath("report.d.ts").read_text(encoding="utf-8")
    body = declarations.partition(f"interface {interface} {{")[2].partition("\n}")[0]
    return re.findall(r"^  (\w+): ", body, re.MULTILINE)


@pytest.mark.parametrize(
    "record",
    [SpendReport, OrganizationStatus, BudgetStatus, AnomalyEntry, Mover, Comparison, Cube],
    ids=lambda r: r.__name__,
)
def test_typescript_interfaces_have_the_fields_of_the_dataclasses(record: type[DataclassInstance]) -> None:
    assert declared_fields(record.__name__) == [field.name for field in dataclasses.fields(record)]


def test_every_script_is_type_checked_and_part_of_the_page() -> None:
    scripts = {file.name for file in PAGE_PARTS.iterdir() if file.name.endswith(".js")}
    checked = json.loads(PAGE_PARTS.joinpath("tsconfig.json").read_text(encoding="utf-8"))["files"]
    assert set(checked) - {"report.d.ts"} == scripts == set(SCRIPTS)
