"""Browser tests of reports with constructed data, for cases that the simulator does not generate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.report.contents import AnomalyEntry, BudgetStatus
from openai_costs_dagster.report.page import render
from openai_costs_dagster.warehouse.report_queries import Cell, CurrentName, OtherCurrencyAmount

from ..report.pages import LAST, organization_status, report_of
from .chromium import MonitoredPage

Open = Callable[..., Page]


def cell(organization: str, project: str | None, user: str | None, dollars: int, ago: int = 5) -> Cell:
    day = LAST - ago * ONE_DAY
    return Cell(organization, day, project, "Images", "gpt-5", user, None, Decimal(dollars))


def budget(scope: str, scope_id: str | None) -> BudgetStatus:
    return BudgetStatus(
        organization="acme",
        budget=f"{scope} {scope_id or ''}",
        period_start=LAST.replace(day=1),
        period_end=LAST,
        scope=scope,
        scope_id=scope_id,
        limit=Decimal(100),
        spent=Decimal(10),
        share=Decimal("0.1"),
        forecast=None,
        forecast_low=None,
        forecast_high=None,
    )


def finding(ago: int, impact: int) -> AnomalyEntry:
    return AnomalyEntry(
        organization="acme",
        day=LAST - ago * ONE_DAY,
        level="project",
        dimensions=["project"],
        project="proj-a",
        service=None,
        model=None,
        key=None,
        user=None,
        actual=Decimal(impact + 1),
        expected=Decimal(1),
        lower=Decimal(0),
        upper=Decimal(2),
        impact=Decimal(impact),
        severity="high",
        explanation="Up.",
        feedback=None,
        is_open=True,
        dagster_path="/",
    )


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Return a function that opens a report of the given cells. After the test, verify that no page had an error."""
    opened: list[MonitoredPage] = []

    def open_cells(cells: list[Cell], fragment: str = "#period=30", **contents: Any) -> Page:
        file = tmp_path / "page.html"
        file.write_text(render(report_of(cells, **contents)), encoding="utf-8")
        monitored = MonitoredPage(browser.new_page())
        opened.append(monitored)
        monitored.page.goto(file.as_uri() + fragment)
        monitored.page.wait_for_selector("html[data-ready]")
        return monitored.page

    yield open_cells
    for monitored in opened:
        assert monitored.errors == []
        monitored.page.close()


def options(page: Page, name: str) -> list[str]:
    return page.locator(f"[name={name}] option").all_inner_texts()


def open_daily_table(page: Page) -> list[str]:
    """Open the table of daily figures and return the labels of its rows, newest day first."""
    page.locator("#days-figures").evaluate("details => { details.open = true; }")
    page.wait_for_selector("#days-figures table")
    return page.locator("#days-figures tbody td:first-child").all_inner_texts()


DUPLICATE_NAMES = [
    CurrentName("acme", "project", "proj-a", "Default project"),
    CurrentName("acme", "project", "proj-b", "Search"),
    CurrentName("acme", "project", "proj-c", "Search"),
    CurrentName("beta", "project", "proj-d", "Default project"),
]


def test_duplicate_names_are_shown_with_organization_or_id(open_report: Open) -> None:
    cells = [cell("acme", f"proj-{letter}", "u1", 5) for letter in "abc"] + [cell("beta", "proj-d", "u1", 5)]
    page = open_report(cells, "#period=30&stack=project", names=DUPLICATE_NAMES)
    open_daily_table(page)
    stacked = page.locator("#days-figures thead th").all_inner_texts()[1:-1]
    labels = {"Default project · Acme", "Default project · Beta", "Search (proj-b)", "Search (proj-c)"}
    assert set(stacked) == labels
    assert options(page, "project")[1:] == [
        "Default project · Acme",
        "Default project · Beta",
        "Search (proj-b) · Acme",
        "Search (proj-c) · Acme",
    ]
    users = page.locator("#people-users tbody td:first-child").all_inner_texts()
    assert set(users) == {"u1 · Acme", "u1 · Beta"}
    page.locator("[name=project]").select_option(label="Default project · Beta")
    assert "project Default project · Beta" in page.inner_text("#shown")


def test_other_currencies_have_their_own_tile(open_report: Open) -> None:
    other = [
        OtherCurrencyAmount("acme", LAST, "jpy", Decimal(90000)),
        OtherCurrencyAmount("acme", LAST - 9 * ONE_DAY, "jpy", Decimal(500)),
        OtherCurrencyAmount("acme", LAST, None, Decimal("3.5")),
    ]
    organizations = [
        organization_status("acme", month_in_other_currencies=["90,500.00 JPY", "3.50 without a currency"])
    ]
    page = open_report(
        [cell("acme", "proj-a", None, 5)], "#period=7", other_currencies=other, organizations=organizations
    )
    assert page.inner_text("#total-period") == "$5.00"
    assert page.inner_text("#total-other-currencies") == "90,000.00 JPY and 3.50 without a currency"
    assert "$1,234.56 and 90,500.00 JPY and 3.50 without a currency" in page.inner_text("#month-organizations")
    assert "90,500.00 JPY" in page.inner_text("#other-currencies-table")
    dollars_only = open_report([cell("acme", "proj-a", None, 5)])
    assert dollars_only.locator("#total-other-currencies").count() == 0


def test_anomaly_with_feedback_is_listed_and_not_counted_as_open(open_report: Open) -> None:
    with_feedback = replace(finding(4, 50), is_open=False, feedback="mute: known")
    page = open_report([cell("acme", "proj-a", None, 5)], anomalies=[finding(5, 60), with_feedback])
    assert page.inner_text("#total-anomalies") == "1"
    assert page.locator("#anomalies-list .finding").count() == 2


def test_organizations_with_equal_titles_are_shown_with_their_names(open_report: Open) -> None:
    cells = [cell("acme", "proj-a", None, 5), cell("beta", "proj-d", None, 6)]
    page = open_report(cells, organizations=[organization_status(name, title="Same") for name in ("acme", "beta")])
    assert options(page, "organization")[1:] == ["Same (acme)", "Same (beta)"]


@pytest.mark.parametrize("fragment", ["project=acme/proj-old", "user=acme/left", "model=/gpt-1", "organization=no/no"])
def test_filter_value_of_a_link_without_spend_is_marked(open_report: Open, fragment: str) -> None:
    page = open_report([cell("acme", "proj-a", None, 5)], f"#period=30&{fragment}")
    assert page.inner_text("#total-period") == "$0.00"
    name = fragment.partition("=")[2].rpartition("/")[2]
    assert f"{name} (not in this report)" in page.inner_text("#shown")
    assert page.locator("#absent").is_visible()
    page.locator("[name=stack]").select_option("model")
    assert fragment.replace("/", "%2F") in page.url
    page.click("button[type=reset]")
    expect(page.locator("#total-period")).to_have_text("$5.00")
    assert not page.locator("#absent").is_visible()


def test_filter_without_project_is_zero_if_all_spend_has_a_project(open_report: Open) -> None:
    page = open_report([cell("acme", "proj-a", None, 5)], "#period=30&project=-")
    assert page.inner_text("#total-period") == "$0.00"
    assert "(no project) (not in this report)" in page.inner_text("#shown")


def test_missing_days_are_marked_as_incomplete(open_report: Open) -> None:
    cells = [cell("acme", "proj-a", None, 5, ago) for ago in range(30) if ago not in {7, 8}]
    missing = {"acme": [LAST - 8 * ONE_DAY, LAST - 7 * ONE_DAY]}
    page = open_report(cells, "#period=30", missing=missing)
    assert "2 days incomplete" in page.locator("#totals .tile").first.inner_text()
    days = open_daily_table(page)
    assert [day for day in days if "incomplete" in day] == [f"{LAST - ago * ONE_DAY} (incomplete)" for ago in (7, 8)]
    assert page.locator("#days-missing").is_visible()
    grey = "getComputedStyle(document.documentElement).getPropertyValue('--missing')"
    assert page.evaluate(grey) != ""
    page.locator("[name=period]").select_option("7")
    assert not page.locator("#days-missing").is_visible()
    assert "incomplete" not in page.locator("#totals .tile").first.inner_text()


def test_days_of_organization_without_data_are_incomplete(open_report: Open) -> None:
    cells = [cell("acme", "proj-a", None, 5, ago) for ago in range(30)]
    both = [organization_status("acme"), organization_status("beta", first_day=None, last_day=None)]
    page = open_report(cells, organizations=both, missing={"beta": [LAST - ONE_DAY]})
    assert "1 day incomplete" in page.locator("#totals .tile").first.inner_text()
    page.locator("[name=organization]").select_option(label="Acme")
    assert "incomplete" not in page.locator("#totals .tile").first.inner_text()


def test_budgets_follow_the_filters(open_report: Open) -> None:
    budgets = [budget("organization", None), budget("project", "proj-a"), budget("model", "gpt-5")]
    cells = [cell("acme", "proj-a", None, 5), cell("acme", "proj-b", None, 5)]

    def shown() -> list[str]:
        return page.locator("#month-budgets tbody td:nth-child(2)").all_inner_texts()

    page = open_report(cells, budgets=budgets)
    assert len(shown()) == 3
    page.locator("[name=project]").select_option(label="proj-a")
    assert shown() == ["project proj-a"]
    assert page.inner_text("#total-budgets") == "0 of 1"
    page.locator("[name=project]").select_option(label="proj-b")
    assert shown() == []
    assert "no budget for this selection" in page.inner_text("#month-budgets")


def test_unit_costs_show_a_note_if_a_filter_does_not_apply(open_report: Open) -> None:
    page = open_report([cell("acme", "proj-a", "u1", 5)])
    assert not page.locator("#units-note").is_visible()
    page.locator("[name=user]").select_option(label="u1")
    assert page.locator("#units-note").is_visible()


def test_users_have_no_share_if_the_total_is_negative(open_report: Open) -> None:
    page = open_report([cell("acme", "proj-a", "u1", -5), cell("acme", "proj-a", "u2", 2)])
    shares = page.locator("#people-users tbody td:nth-child(3)").all_inner_texts()
    assert shares == ["–", "–"]  # noqa: RUF001  # the page contains en dashes
    assert page.inner_text("#total-period") == "-$3.00"


def test_opened_anomalies_stay_open_when_a_filter_changes(open_report: Open) -> None:
    cells = [cell("acme", "proj-a", None, 5, ago) for ago in range(30)]
    page = open_report(cells, anomalies=[finding(ago, 100 - ago) for ago in range(4, 10)])
    findings = page.locator("details.finding")
    findings.nth(0).locator("summary").click()
    findings.nth(5).locator("summary").click()

    def are_open() -> list[bool]:
        return [bool(found.evaluate("details => details.open")) for found in findings.all()]

    expected = [False, True, True, False, False, True]
    assert are_open() == expected
    page.locator("[name=stack]").select_option("model")
    assert are_open() == expected
    page.click("#theme")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert are_open() == [True] * 6
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert are_open() == expected


def test_theme_changes_only_colours(open_report: Open) -> None:
    page = open_report([cell("acme", "proj-a", None, 5)])
    page.evaluate("document.querySelector('#people-users table').dataset.mine = 'yes'")
    before = page.evaluate("Object.values(Chart.instances)[0].options.scales.y.grid.color")
    page.click("#theme")
    assert page.locator("#people-users table").get_attribute("data-mine") == "yes"
    assert page.evaluate("Object.values(Chart.instances)[0].options.scales.y.grid.color") != before


def test_error_in_one_section_does_not_affect_others(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    head = "function showMovers(report, filters) {"
    broken = render(report_of([cell("acme", "proj-a", None, 5)])).replace(head, f"{head} throw new Error('odd');")
    file.write_text(broken, encoding="utf-8")
    page = browser.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready]")
    assert "This section could not be shown (odd)." in page.inner_text("#movers")
    assert page.locator("#freshness-table table").is_visible()
    page.close()


@pytest.mark.parametrize("size", [(1280, 900), (1000, 900), (390, 844)])
def test_seven_digit_amount_fits_one_line_of_a_tile(open_report: Open, size: tuple[int, int]) -> None:
    page = open_report([cell("acme", "proj-a", None, 8_888_888)])
    page.set_viewport_size({"width": size[0], "height": size[1]})
    one_line = "figure.clientHeight < 1.8 * parseFloat(getComputedStyle(figure).fontSize)"
    fits = f"figure => figure.scrollWidth <= figure.clientWidth && {one_line}"
    assert page.locator("#total-period").inner_text() == "$8,888,888.00"
    assert page.locator("#total-period").evaluate(fits)


def test_filters_are_not_sticky_on_a_phone_in_landscape(open_report: Open) -> None:
    page = open_report([cell("acme", "proj-a", None, 5)])
    page.set_viewport_size({"width": 780, "height": 360})
    assert page.locator("#filters").evaluate("form => getComputedStyle(form).position") == "static"


def test_print_shows_stacking_and_bar_length_as_text(open_report: Open) -> None:
    page = open_report([cell("acme", "proj-a", None, 5)], "#period=30&stack=model&bar=week")
    assert not page.locator("#days-as").is_visible()
    page.emulate_media(media="print")
    assert page.inner_text("#days-as") == "Stacked by model, one bar per week."
