"""Takes the screenshots in docs/images with Chromium, from a running demo. `make pictures` runs this program.

The screenshots show the spend report, pages of the Dagster UI, and an alert. The alert is an HTML rendering of the
payload that a channel sends, because this program cannot use a chat service.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Page

from openai_costs_dagster.warehouse.database import Database

from ..cli.program import until, workplace, yesterday
from ..end_to_end.ui import Dagster
from .alert_rendering import alert_page, alert_payload
from .chromium import INSTALL_HINT, chromium, executable

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
PORT = 3478

_COSTS = "/assets/openai/acme-simulated/costs"
_DAGSTER_URL = "https://dagster.example.com"  # The links of the alert start with this URL.
_START_TIMEOUT_S = 240
_SETTLE_MS = 3_000  # The Dagster UI loads more data after the first rendering.


class Picture(NamedTuple):
    """A screenshot: file name, address of the page, and the selector of an element to wait for."""

    name: str
    address: str
    selector: str
    prepare: Callable[[Page], None] = lambda _: None
    width: int = 1400
    height: int = 900
    scheme: str = "light"


def _open_partition_of_yesterday(page: Page) -> None:
    page.get_by_role("tab", name="Partitions").last.click()
    page.get_by_text(str(yesterday())).first.click()
    page.get_by_text("Up $").first.wait_for()


def _open_chart_of_finding(page: Page) -> None:
    _open_partition_of_yesterday(page)
    page.get_by_text("[Show Markdown]").first.click()
    page.locator("img[src^='data:image/svg']").first.wait_for()


def _scroll_to_anomalies(page: Page) -> None:
    page.locator("#anomalies").evaluate("section => section.scrollIntoView()")


def pictures(dagster: str, report: str, alert: str) -> list[Picture]:
    """Return all screenshots. The arguments are the URLs of Dagster, the report and the rendered alert."""
    day = yesterday()
    check = f"{_COSTS}?view=checks&checkDetail=anomalous_spend&partition={day}"
    ready, group = "html[data-ready]", f"{dagster}/locations/openai_costs/asset-groups/acme_simulated/lineage"
    return [
        Picture("report", f"{report}#period=90&stack=model", ready, height=1000),
        Picture("report-dark", f"{report}#period=30", ready, _scroll_to_anomalies, scheme="dark"),
        Picture("report-phone", f"{report}#period=30", ready, width=390, height=844),
        Picture("alert", alert, "img", width=840, height=480),
        Picture("anomalous-spend", f"{dagster}{check}", "text=anomalous_spend", _open_partition_of_yesterday),
        Picture("finding-chart", f"{dagster}{check}", "text=anomalous_spend", _open_chart_of_finding),
        Picture("lineage", group, "text=allocated_costs"),
        Picture("partitions", f"{dagster}{_COSTS}?view=partitions&partition={day}", "text=spend_exact"),
    ]


def take(browser: Browser, picture: Picture) -> None:
    """Open the page of a screenshot, wait until the page has loaded, and write the image file."""
    page = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme="dark" if picture.scheme == "dark" else "light",
    ).new_page()
    page.goto(picture.address)
    page.wait_for_selector(picture.selector)
    picture.prepare(page)
    page.wait_for_timeout(_SETTLE_MS)
    # The height of the rendered alert depends on its text. Other pages are cut at the height of the window.
    page.screenshot(path=IMAGES / f"{picture.name}.png", full_page=picture.name == "alert")
    page.context.close()


def main() -> None:
    """Run the demo in a temporary folder and take all screenshots."""
    if executable() is None:
        sys.exit(INSTALL_HINT)
    dagster = Dagster(f"http://127.0.0.1:{PORT}")
    with workplace() as place, (place.folder / "demo.log").open("w") as output:
        data = place.folder / ".openai-costs-demo"
        report, alert = data / "openai-spend.html", place.folder / "alert.html"
        with place.started("demo", "--port", str(PORT), output=output), chromium() as browser:
            until(lambda: report.exists() and dagster.is_reachable(), seconds=_START_TIMEOUT_S)
            database = Database(f"postgresql://postgres@/postgres?host={data}/postgres")
            alert.write_text(alert_page(alert_payload(database, _DAGSTER_URL)), encoding="utf-8")
            for picture in pictures(dagster.url, report.as_uri(), alert.as_uri()):
                take(browser, picture)
                sys.stdout.write(f"{picture.name}.png\n")
    dagster.close()


if __name__ == "__main__":
    main()
