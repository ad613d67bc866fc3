"""Browser tests of reports with constructed data, for cases that the simulator does not generate."""

from __future__ import annotations

import re
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


_SIZES = [(1280, 900), (1250, 400), (1000, 700), (768, 1024), (780, 360), (390, 844), (320, 256)]
_OVERLAPS = """
    ([first, second]) => {
      const [a, b] = [first, second].map((selector) => document.querySelector(selector).getBoundingClientRect());
      return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    }
"""


def test_nothing_overlaps_at_any_window_size(open_report: Open) -> None:
    """A window of 320 by 256 CSS pixels is one of 1280 by 1024 pixels at 400 % zoom."""
    names = [f"Long name of a project {number}" for number in range(9)]
    cells = [cell("acme", name, "u1", 8, ago) for name in names for ago in range(30)]
    page = open_report(cells, "#period=30&stack=project", dagster_url="https://dagster.example", is_simulated=True)
    open_daily_table(page)
    for width, height in _SIZES:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
        assert page.locator("#theme").evaluate("button => button.scrollWidth <= button.clientWidth"), width
        page.locator("#theme").click(trial=True)
        assert not page.evaluate(_OVERLAPS, [".top > div", "#theme"]), width
        for scrolled_to in ("#shown", "#days-figures tbody tr:nth-child(5)", "#people", "#freshness"):
            page.locator(scrolled_to).evaluate("target => target.scrollIntoView()")
            assert not page.evaluate(_OVERLAPS, ["#filters", "#content"]), (width, scrolled_to)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 in portrait without its margins
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_headings_of_a_table_stay_visible_and_wide_tables_scroll_with_the_keyboard(open_report: Open) -> None:
    cells = [cell("acme", f"proj-{number}", "u1", 88_888, ago) for number in range(5) for ago in range(30)]
    page = open_report(cells, "#period=30&stack=project")
    open_daily_table(page)
    table = page.locator("#days-figures .scroll")
    page.locator("#days-figures tbody tr:nth-child(9)").evaluate("row => row.scrollIntoView()")
    assert page.locator("#days-figures th").first.evaluate("head => head.getBoundingClientRect().top") == 0
    assert table.get_attribute("tabindex") is None
    page.set_viewport_size({"width": 390, "height": 844})
    expect(table).to_have_attribute("tabindex", "0")
    hint = "scroll => getComputedStyle(scroll, '::before').content"
    assert "Scroll sideways for more columns" in table.evaluate(hint)
    assert table.get_attribute("aria-label") == page.locator("#days-figures caption").inner_text()
    table.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(
        300
    )  # The browser scrolls smoothly, and the page's policy forbids conditions that wait for it.
    assert table.evaluate("scroll => scroll.scrollLeft") > 0
    page.set_viewport_size({"width": 1280, "height": 900})
    expect(table).not_to_have_class(re.compile("wide"))


def test_headings_axis_and_title_follow_the_unit_on_screen_and_paper(open_report: Open) -> None:
    page = open_report([cell("acme", "proj-a", "u1", 5)], "#period=30&stack=model&bar=day", is_simulated=True)
    open_daily_table(page)
    page.locator("[name=bar]").select_option("week")
    page.locator("[name=period]").select_option("7")
    week = f"{LAST - 6 * ONE_DAY} to {LAST}"
    assert page.title() == f"OpenAI spend by week and model, {week} (simulated)"
    assert page.inner_text("#days-title") == "Spend by week and model"
    assert page.locator("#days-figures caption").inner_text() == f"US dollars per week, {week}"
    assert page.locator("#days-figures th").first.inner_text() == "Week"
    assert page.locator("#people-users caption").inner_text() == f"Spend by user, {week}"
    axis = "Chart.getChart('days-chart').options.scales.y.title.text"
    assert page.evaluate(axis) == "US dollars per week"
    page.emulate_media(media="print")
    assert page.locator("#days-title").is_visible()
    assert not page.locator("#days-figures > summary").is_visible()
    # A footer group is printed on every page, so that a long table would show its total several times.
    displays = "[...document.querySelectorAll('tfoot')].map((foot) => getComputedStyle(foot).display)"
    assert set(page.evaluate(displays)) == {"table-row-group"}


FACETS = [
    Cell("acme", LAST - 5 * ONE_DAY, "proj-a", "Images", "gpt-5", "u1", None, Decimal(1)),
    Cell("acme", LAST - 5 * ONE_DAY, "proj-b", "Images", "gpt-4", "u2", None, Decimal(2)),
    Cell("acme", LAST - 20 * ONE_DAY, "proj-c", "Images", "gpt-5", "u2", None, Decimal(4)),
    Cell("beta", LAST - 5 * ONE_DAY, "proj-d", "Images", "gpt-5", "u3", None, Decimal(8)),
]


def test_filters_restrict_each_other_and_back_undoes_each_choice(open_report: Open) -> None:
    page = open_report(FACETS, "")

    def choose(name: str, label: str) -> None:
        page.locator(f"[name={name}]").select_option(label=label)

    def offered() -> list[list[str]]:
        return [options(page, name)[1:] for name in ("project", "model", "user")]

    choose("organization", "Acme")
    assert offered() == [["proj-a", "proj-b", "proj-c"], ["gpt-4", "gpt-5"], ["u1", "u2"]]
    choose("model", "gpt-5")
    assert offered() == [["proj-a", "proj-c"], ["gpt-4", "gpt-5"], ["u1", "u2"]]
    choose("project", "proj-a")
    assert offered() == [["proj-a", "proj-c"], ["gpt-5"], ["u1"]]
    assert page.locator("label:has([name=project]) .offered").inner_text() == "(2 of 4)"
    assert page.locator("[name=organization] optgroup").get_attribute("label") == "Removes other filters"
    choose("organization", "Beta")
    assert page.inner_text("#total-period") == "$8.00"
    assert page.inner_text("#removed") == "Removed, because the chosen organization has no such spend: project proj-a."
    link = page.url
    page.go_back()
    expect(page.locator("#total-period")).to_have_text("$1.00")
    assert not page.locator("#removed").is_visible()
    assert page.locator("[name=project] option:checked").inner_text() == "proj-a"
    for expected in ("$5.00", "$7.00", "$15.00"):
        page.go_back()
        expect(page.locator("#total-period")).to_have_text(expected)
    page.goto(link)
    expect(page.locator("#total-period")).to_have_text("$8.00")
    page.goto(link.partition("#")[0] + "#period=30&organization=beta/beta&project=acme/proj-a")
    expect(page.locator("#conflict")).to_be_visible()
    assert "project proj-a (no spend with the other filters)" in page.inner_text("#shown")


def test_values_without_spend_in_the_period_are_offered_last(open_report: Open) -> None:
    page = open_report(FACETS, "#period=30&organization=acme/acme")
    assert page.locator("[name=project] optgroup").count() == 0
    page.locator("[name=project]").select_option(label="proj-c")
    page.locator("[name=period]").select_option("7")
    assert page.locator("[name=project] option:checked").inner_text() == "proj-c"
    assert page.inner_text("#total-period") == "$0.00"
    group = page.locator("[name=project] optgroup")
    assert (group.get_attribute("label"), group.all_inner_texts()) == ("No spend in the period", ["proj-c"])


def test_typed_date_is_one_step_of_the_history(open_report: Open) -> None:
    page = open_report(FACETS, "#period=30")
    before = page.evaluate("history.length")
    page.focus("[name=first]")
    page.keyboard.type("11102026")
    expect(page.locator("#shown")).to_contain_text("2026-11-10 to")
    assert page.evaluate("history.length") == before + 1
    page.go_back()
    expect(page.locator("#shown")).to_contain_text(f"{LAST - 29 * ONE_DAY} to")
