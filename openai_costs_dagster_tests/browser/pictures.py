"""`make pictures`: what README and docs show, made anew from the demo: the report, and Dagster's pages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, Page

from ..cli.program import until, workplace, yesterday
from ..end_to_end.ui import Dagster
from .chromium import INSTALL_HINT, chromium, executable

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
PORT = 3478

_COSTS = "/assets/openai/acme-simulated/costs"
_PATIENCE = 180  # seconds


class Picture(NamedTuple):
    """A file, where it is taken, and what has to be there, or to be done, first."""

    name: str
    address: str
    awaited: str
    prepare: Callable[[Page], None] = lambda _: None
    width: int = 1400
    height: int = 900
    scheme: str = "light"


def _open_the_days_partition(page: Page) -> None:
    page.get_by_role("tab", name="Partitions").last.click()
    page.get_by_text(str(yesterday())).first.click()
    page.get_by_text("Up $").first.wait_for()


def _show_anomalies(page: Page) -> None:
    page.locator("#anomalies").evaluate("part => part.scrollIntoView()")


def pictures(dagster: str, report: str) -> list[Picture]:
    """All of them."""
    day = yesterday()
    check = f"{_COSTS}?view=checks&checkDetail=anomalous_spend&partition={day}"
    ready, group = "html[data-ready]", f"{dagster}/locations/openai_costs/asset-groups/acme_simulated/lineage"
    return [
        Picture("report", f"{report}#period=90&stack=model", ready, height=1000),
        Picture("report-dark", f"{report}#period=30", ready, _show_anomalies, scheme="dark"),
        Picture("report-phone", f"{report}#period=30", ready, width=390, height=844),
        Picture("anomalous-spend", f"{dagster}{check}", "text=anomalous_spend", _open_the_days_partition),
        Picture("lineage", group, "text=allocated_costs"),
        Picture("partitions", f"{dagster}{_COSTS}?view=partitions&partition={day}", "text=spend_exact"),
    ]


def take(browser: Browser, picture: Picture) -> None:
    """Looks, waits until everything has settled, and keeps what is seen."""
    page = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme="dark" if picture.scheme == "dark" else "light",
    ).new_page()
    page.goto(picture.address)
    page.wait_for_selector(picture.awaited)
    picture.prepare(page)
    page.wait_for_timeout(3_000)  # Dagster's pages ask for more once they are there
    page.screenshot(path=IMAGES / f"{picture.name}.png")
    page.context.close()


def main() -> None:
    """Runs the demo in a folder of its own and looks at everything."""
    if executable() is None:
        sys.exit(INSTALL_HINT)
    dagster = Dagster(f"http://127.0.0.1:{PORT}")
    with workplace() as place, (place.folder / "demo.log").open("w") as output:
        report = place.folder / ".openai-costs-demo" / "openai-spend.html"
        with place.started("demo", "--port", str(PORT), output=output), chromium() as browser:
            until(lambda: report.exists() and dagster.answers(), seconds=_PATIENCE)
            for picture in pictures(dagster.url, report.as_uri()):
                take(browser, picture)
                sys.stdout.write(f"{picture.name}.png\n")
    dagster.close()


if __name__ == "__main__":
    main()
