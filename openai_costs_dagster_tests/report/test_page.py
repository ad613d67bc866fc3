"""The page holds everything, fetches nothing, and whatever others call their projects stays text."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.report.page import render
from openai_costs_dagster.warehouse.report_queries import Cell, KnownName

from .pages import LAST, data_in, large_company, names_of, organization_status, report_of

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}"
CELL = Cell("acme", LAST, "proj_1", "Chat completions", "gpt-5", "user-1", "key_1", Decimal("0.123456789"))
FIVE_MEGABYTES = 5_000_000


def test_the_page_fetches_nothing() -> None:
    page = render(report_of([CELL]))
    assert "default-src 'none'" in page
    assert re.findall(r"""(?:src|href|action)\s*=\s*["']?(?:https?:)?//""", page) == []
    assert re.findall(r"@import|url\(", page) == []


def test_data_reach_the_page_whole() -> None:
    data = data_in(render(report_of([CELL], names=[KnownName("acme", "user", "user-1", "Vera")])))
    assert data["cube"]["series"] == [[0, 0, 0, 0, 0, 0, 29, [123_456_789], None]]
    assert data["names"] == [["acme", "user", "user-1", "Vera"]]
    assert data["organizations"][0]["month_to_date"] == "1234.56"
    assert (data["first_day"], data["last_day"]) == ("2026-10-27", "2026-11-25")


def test_a_hostile_name_stays_text() -> None:
    hostile = CELL._replace(project_id=HOSTILE, service=HOSTILE, model=HOSTILE, user_id=HOSTILE)
    report = report_of(
        [hostile],
        organizations=[organization_status("acme", title=HOSTILE)],
        names=[KnownName("acme", "user", HOSTILE, HOSTILE)],
    )
    page = render(report)
    assert "alert(1)</script>" not in page
    assert "<img" not in page
    assert "&lt;/script&gt;" in page  # the table for those without scripts
    assert "{{ 7 * 7 }}" in page
    assert data_in(page)["cube"]["names"]["project"] == [["acme", HOSTILE]]


def test_the_same_report_is_the_same_page() -> None:
    assert render(report_of([CELL])) == render(report_of([CELL]))


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_data_are_said_to_be(simulated: bool) -> None:
    assert ("All data on this page is simulated" in render(report_of([CELL], is_simulated=simulated))) is simulated


def test_without_scripts_the_month_of_each_organization_is_there_all_the_same() -> None:
    page = render(
        report_of([CELL], organizations=[organization_status("acme"), organization_status("beta", forecast=None)])
    )
    within = page.partition("<noscript>")[2].partition("</noscript>")[0]
    assert "$1,234.56" in within
    assert within.count("$1,500.00") == 1


def test_links_lead_to_dagster_only_where_that_is_known() -> None:
    assert "Open Dagster" not in render(report_of([CELL]))
    assert 'href="https://dagster.example"' in render(report_of([CELL], dagster_url="https://dagster.example"))


def test_a_quarter_of_twenty_organizations_stays_below_a_quarter_of_five_megabytes() -> None:
    cells = [cell for number in range(20) for cell in large_company(f"org{number}", 92, projects=5, users=5)]
    page = render(report_of(cells, days=92, most=100_000, names=names_of(cells)))
    assert len(cells) == 92_000
    assert len(page) < FIVE_MEGABYTES / 4


def test_more_users_than_a_page_can_hold_stand_together() -> None:
    cells = list(large_company("acme", 60, projects=4, users=40))
    folded = data_in(render(report_of(cells, days=60, most=5_000)))["cube"]["folded"]
    assert folded["users and keys"] > 100


def test_very_many_projects_make_no_larger_page() -> None:
    cells = [
        Cell(
            f"org{one % 4}", LAST - day * ONE_DAY, f"proj-{one}", "Images", f"gpt-{one % 5}", None, None, odd(one, day)
        )
        for one in range(400)
        for day in range(60)
    ]
    small = render(report_of(cells, days=60, most=5_000))
    assert len(small) < len(render(report_of(cells, days=60))) - 100_000
    assert data_in(small)["cube"]["folded"]["projects"] > 300


def odd(one: int, day: int) -> Decimal:
    return Decimal((one * 104_729 + day * 1_299_709) % 10**10) / 10**7
