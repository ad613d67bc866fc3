"""Browser tests of the report of two simulated organizations: figures equal SQL, filters, accessibility, printing."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from ..cli.program import days_ago, yesterday
from ..loaded import HISTORY
from ..midnight import today
from .chromium import MonitoredPage
from .conftest import DAGSTER, WrittenPage


def first_day() -> dt.date:
    return days_ago(HISTORY - 1)


PHONE = {"width": 390, "height": 844}
Open = Callable[..., MonitoredPage]


@pytest.fixture(scope="module")
def shared(browser: Browser, written: WrittenPage) -> Iterator[MonitoredPage]:
    """Open one page for all tests that need no special browser settings."""
    monitored = MonitoredPage(browser.new_page())
    monitored.page.goto(written.page.as_uri())
    monitored.page.wait_for_selector("html[data-ready]")
    yield monitored
    monitored.page.close()


@pytest.fixture
def open_page(browser: Browser, written: WrittenPage, shared: MonitoredPage) -> Iterator[Open]:
    """Return a function that opens the report. After the test, verify that no page had errors or external requests."""
    opened = [shared]

    def open_fragment(fragment: str = "", **settings: Any) -> MonitoredPage:
        if not settings:
            shared.page.goto(f"{written.page.as_uri()}#")
            shared.page.goto(f"{written.page.as_uri()}{fragment or '#period=30'}")
            return shared
        page = browser.new_context(bypass_csp=settings.pop("bypass_csp", False), **settings).new_page()
        monitored = MonitoredPage(page)
        opened.append(monitored)
        page.goto(written.page.as_uri() + fragment)
        page.wait_for_selector("html[data-ready]")
        return monitored

    yield open_fragment
    for monitored in opened:
        assert monitored.errors == []
        fetched = {url.partition("#")[0] for url in monitored.requests if not url.startswith("data:")}
        assert fetched == {written.page.as_uri()}
        if monitored is not shared:
            monitored.page.context.close()


def open_table(page: Page) -> None:
    """Open the collapsed table of daily figures."""
    page.locator("#days-figures").evaluate("details => { details.open = true; }")
    page.wait_for_selector("#days-figures table")


def figure(page: Page, name: str) -> Decimal:
    """Return the US dollar amount of the tile whose HTML id is `name`."""
    return dollars(page.inner_text(f"#{name}"))


def dollars(text: str) -> Decimal:
    return Decimal(re.sub(r"[$,+]", "", text))


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))


def rows(page: Page, selector: str) -> list[list[str]]:
    """Return the text of the body cells of a table."""
    return [row.locator("td").all_inner_texts() for row in page.locator(f"{selector} tbody tr").all()]


def choose(page: Page, **filters: str) -> None:
    for name, label in filters.items():
        page.locator(f"select[name={name}]").select_option(label=label)


def test_command_prints_path_size_and_days(written: WrittenPage) -> None:
    assert (written.command.code, written.command.err) == (0, "")
    size = f"{written.page.stat().st_size / 1e6:.1f} MB"
    assert written.command.out == f"pages/spend.html: {size}, {first_day()} to {today()}\n"


def test_totals_equal_sums_in_sql(open_page: Open, written: WrittenPage) -> None:
    page = open_page().page
    assert figure(page, "total-period") == cents(written.spend(days_ago(29), today()))
    assert figure(page, "total-month") == cents(written.spend(today().replace(day=1), today()))
    choose(page, period="All days")
    assert figure(page, "total-period") == cents(written.spend(first_day(), today()))


@pytest.mark.parametrize("dimension", ["organization", "project", "model", "user"])
def test_each_filter_equals_a_condition_in_sql(open_page: Open, written: WrittenPage, dimension: str) -> None:
    column = {"organization": "organization", "project": "project_id", "model": "model", "user": "user_id"}[dimension]
    ((owner, value),) = written.place.sql(
        f"select organization, {column} from openai_costs.allocated_costs where {column} is not null"  # noqa: S608
        " group by 1, 2 order by sum(amount) desc limit 1"
    )
    fragment = {"organization": f"{owner}/{value}", "model": f"/{value}"}.get(dimension, f"{owner}/{value}")
    page = open_page(f"#{dimension}={fragment}&period=all").page
    conditions = {column: value} if dimension == "model" else {"organization": owner, column: value}
    expected = written.spend(first_day(), today(), **conditions)
    assert expected > 0
    assert figure(page, "total-period") == cents(expected)


def test_all_filters_together_equal_conditions_in_sql(open_page: Open, written: WrittenPage) -> None:
    ((owner, project, model, user),) = written.place.sql(
        "select organization, project_id, model, user_id from openai_costs.allocated_costs"
        " where user_id is not null and model is not null group by 1, 2, 3, 4 order by sum(amount) desc limit 1"
    )
    first, last = days_ago(40), days_ago(12)
    page = open_page(
        f"#organization={owner}/{owner}&project={owner}/{project}&model=/{model}&user={owner}/{user}"
        f"&period=custom&first={first}&last={last}"
    ).page
    spent = written.spend(first, last, organization=owner, project_id=project, model=model, user_id=user)
    assert figure(page, "total-period") == cents(spent)
    assert page.inner_text("#shown").startswith(f"{first} to {last}: organization acme, project ")


def test_filter_selects_spend_without_user(open_page: Open, written: WrittenPage) -> None:
    page = open_page().page
    choose(page, user="(no user)")
    assert figure(page, "total-period") == cents(written.spend(days_ago(29), today(), user_id=None))


def test_custom_period_equals_a_range_in_sql(open_page: Open, written: WrittenPage) -> None:
    page = open_page().page
    page.fill("[name=first]", str(days_ago(50)))
    page.fill("[name=last]", str(days_ago(20)))
    page.press("[name=last]", "Tab")
    assert page.input_value("[name=period]") == "custom"
    assert figure(page, "total-period") == cents(written.spend(days_ago(50), days_ago(20)))


def test_stacked_days_equal_sums_in_sql(open_page: Open, written: WrittenPage) -> None:
    page = open_page("#period=7&stack=organization").page
    open_table(page)
    _, *heads = page.locator("#days-figures thead th").all_inner_texts()
    found = rows(page, "#days-figures")
    shown = {day[:10]: dict(zip(heads, map(dollars, amounts), strict=True)) for day, *amounts in found}
    assert set(shown) == {str(days_ago(number)) for number in range(7)}
    for day, amounts in shown.items():
        for organization in ("acme", "beta"):
            assert amounts[organization] == cents(written.spend(day, day, organization=organization))
        assert amounts["Total"] == cents(written.spend(day, day))


def week_of(day: dt.date) -> str:
    """Return the Monday of the week of `day`, or the first day of the report if that day is later."""
    return str(max(day - dt.timedelta(days=day.weekday()), first_day()))


def month_of(day: dt.date) -> str:
    return f"{day:%Y-%m}"


@pytest.mark.parametrize(("bar", "label_of"), [("week", week_of), ("month", month_of)])
def test_weekly_and_monthly_bars_add_up_to_the_total(
    open_page: Open, bar: str, label_of: Callable[[dt.date], str]
) -> None:
    page = open_page(f"#period=90&bar={bar}").page
    open_table(page)
    total = page.locator("#days-figures tfoot td").last.inner_text()
    assert dollars(total) == figure(page, "total-period")
    bars = sorted({label_of(days_ago(number)) for number in range(HISTORY)}, reverse=True)
    assert [row[0].removesuffix(" (provisional)") for row in rows(page, "#days-figures")] == bars


@pytest.mark.parametrize(("table", "column"), [("people-users", "user_id"), ("people-keys", "api_key_id")])
def test_users_and_keys_add_up_to_the_bill(open_page: Open, written: WrittenPage, table: str, column: str) -> None:
    page = open_page().page
    expected = written.place.sql(
        "select sum(amount) from openai_costs.allocated_costs"  # noqa: S608  # our own columns
        f" where usage_date >= %s and organization = any(%s) group by organization, {column}",
        days_ago(29),
        list(written.organizations),
    )
    without_user = written.spend(days_ago(29), today(), **{column: None})
    shown = [dollars(row[1]) for row in rows(page, f"#{table}")]
    assert cents(without_user) in shown
    assert len(shown) <= len(expected)
    assert dollars(page.locator(f"#{table} tfoot td").nth(1).inner_text()) == figure(page, "total-period")


def test_effects_of_movers_add_up_to_the_change(open_page: Open) -> None:
    page = open_page().page
    found = rows(page, "#movers-table")
    assert found
    for _, _, _, before, now, change, *effects, _ in found:
        assert abs(dollars(now) - dollars(before) - dollars(change)) <= Decimal("0.01")
        effects_sum = sum((dollars(effect) for effect in effects if "$" in effect), Decimal(0))
        assert abs(effects_sum - dollars(change)) <= Decimal("0.03")  # Each effect is rounded to the cent.


def test_largest_anomaly_of_yesterday_is_shown_first_with_its_chart(open_page: Open, written: WrittenPage) -> None:
    page = open_page().page
    ((impact, explanation),) = written.place.sql(
        "select impact, explanation from openai_costs.anomalies where usage_date = %s and worth_alerting"
        " order by abs(impact) desc limit 1",
        yesterday(),
    )
    first = page.locator("details.finding").first
    assert dollars(first.locator(".impact").inner_text()) == cents(impact)
    assert explanation in first.inner_text()
    assert drawn(page, "details.finding canvas")


def drawn(page: Page, selector: str) -> bool:
    """Return whether a canvas has visible pixels."""
    script = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
    return bool(page.locator(selector).first.evaluate(script))


def test_links_lead_to_dagster(open_page: Open) -> None:
    page = open_page().page
    links = page.locator("a[href^='http']").evaluate_all("links => links.map((link) => link.href)")
    assert f"{DAGSTER}/assets/openai/acme/costs" in links
    check = f"view=checks&checkDetail=anomalous_spend&partition={yesterday()}"
    assert f"{DAGSTER}/assets/openai/acme/costs?{check}" in links
    assert all(link.startswith(DAGSTER) for link in links)


def test_freshness_equals_the_view_sync_status(open_page: Open, written: WrittenPage) -> None:
    page = open_page().page
    expected = written.place.sql(
        "select organization, last_day::text, settled_to::text, missing_days::text"
        " from openai_costs.sync_status where organization = any(%s) order by organization",
        list(written.organizations),
    )
    assert [tuple(row[:4]) for row in rows(page, "#freshness-table")] == expected


def test_url_restores_the_view(open_page: Open) -> None:
    page = open_page().page
    choose(page, organization="acme", period="Last 90 days", stack="model")
    again = open_page("#" + page.url.partition("#")[2], viewport={"width": 1000, "height": 900}).page
    assert "stacked by model" in str(page.get_attribute("#days-chart", "aria-label"))
    for name in ("organization", "period", "stack"):
        assert again.locator(f"[name={name}]").input_value() == page.locator(f"[name={name}]").input_value()
    assert figure(again, "total-period") == figure(page, "total-period")


def test_organization_filter_limits_project_options_until_reset(open_page: Open) -> None:
    page = open_page().page
    projects = page.locator("[name=project] option")
    before = projects.count()
    choose(page, organization="beta")
    assert 1 < projects.count() < before
    page.click("button[type=reset]")
    expect(projects).to_have_count(before)


def test_markup_in_the_url_is_shown_as_text(open_page: Open) -> None:
    page = open_page("#organization=unknown/unknown&period=never&model=</script>").page
    assert page.inner_text("#shown").endswith(
        "organization unknown (not in this report), model script> (not in this report)"
    )
    assert page.locator("[name=period]").input_value() == "30"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE["width"], 1400])
def test_page_has_no_accessibility_violations(open_page: Open, scheme: str, width: int) -> None:
    page = open_page(bypass_csp=True, color_scheme=scheme, viewport={"width": width, "height": 900}).page
    found = Axe().run(page)
    assert [(rule["id"], [node["html"][:120] for node in rule["nodes"]]) for rule in found.response["violations"]] == []


def test_dark_theme_follows_the_system_and_the_button(open_page: Open) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    dark = open_page(color_scheme="dark").page.evaluate(background)
    page = open_page(color_scheme="light").page
    assert page.evaluate(background) != dark
    page.click("#theme")
    assert page.evaluate(background) == dark
    assert page.get_attribute("#theme", "aria-pressed") == "true"


def test_page_fits_the_width_of_a_phone(open_page: Open) -> None:
    page = open_page(viewport=PHONE, is_mobile=True, has_touch=True).page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_filters_work_with_the_keyboard(open_page: Open) -> None:
    page = open_page(viewport={"width": 1000, "height": 900}).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("[name=organization]")
    page.keyboard.press("ArrowDown")
    assert page.locator("[name=organization]").input_value() != ""
    assert "organization acme" in page.inner_text("#shown")


def test_print_uses_light_theme_and_hides_controls(open_page: Open) -> None:
    page = open_page(color_scheme="dark").page
    page.emulate_media(media="print")
    assert not page.locator("#filters").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("#totals").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_table_marks_today_as_provisional(open_page: Open) -> None:
    page = open_page("#period=7").page
    open_table(page)
    newest, *_, oldest = (row[0] for row in rows(page, "#days-figures"))
    assert newest == f"{today()} (provisional)"
    assert oldest == str(today() - dt.timedelta(days=6))


def test_period_that_ends_before_it_starts_is_reported(open_page: Open) -> None:
    page = open_page(f"#period=custom&first={today()}&last={days_ago(3)}").page
    assert page.inner_text("#shown") == "The period ends before it starts."
    assert figure(page, "total-period") == 0


def test_print_expands_anomalies_with_their_charts(open_page: Open) -> None:
    page = open_page("#period=all", viewport={"width": 1000, "height": 900}).page
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    findings = page.locator("details.finding")
    assert findings.count() > 0
    assert page.locator("details.finding[open]").count() == min(findings.count(), 20)
    assert drawn(page, "details.finding:last-of-type canvas")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") is None


def test_charts_of_earlier_filters_are_destroyed(open_page: Open) -> None:
    page = open_page().page
    for period in ("Last 90 days", "All days", "Last 30 days"):
        choose(page, period=period)
    page.wait_for_timeout(100)
    assert page.evaluate("Object.keys(Chart.instances).length") <= 1 + page.locator("details.finding").count()


def test_model_filter_replaces_the_forecast_by_a_note(open_page: Open) -> None:
    page = open_page("#model=/gpt-5.5-2026-04-23").page
    assert page.locator("[name=model]").input_value() != ""
    assert page.locator("#month-note").is_visible()
    assert page.inner_text("#total-forecast") == "–"  # noqa: RUF001  # the page contains an en dash
    choose(page, model="All")
    assert not page.locator("#month-note").is_visible()


def test_old_browser_shows_a_message(browser: Browser, written: WrittenPage) -> None:
    page = browser.new_page()
    page.add_init_script("delete globalThis.DecompressionStream")
    page.goto(written.page.as_uri())
    expect(page.locator("#shown")).to_contain_text("cannot be shown")
    page.close()


def test_skip_link_keeps_the_filters(open_page: Open) -> None:
    page = open_page("#period=90&stack=model", viewport={"width": 1000, "height": 900}).page
    page.focus("a.skip")
    page.keyboard.press("Enter")
    assert page.locator("[name=period]").input_value() == "90"
    assert page.locator("[name=stack]").input_value() == "model"


def test_only_settled_days_are_compared_with_preceding_days(open_page: Open, written: WrittenPage) -> None:
    page = open_page("#period=7").page
    note = page.locator("#totals .tile").first.inner_text()
    settled, before = written.spend(days_ago(6), days_ago(3)), written.spend(days_ago(10), days_ago(7))
    assert f"${cents(settled):,.2f} settled to {days_ago(3)}; ${cents(before):,.2f} in the 4 days before" in note
