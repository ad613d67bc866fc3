"""The loading time of Dagster's pages in a real browser, until the expected text is visible."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
from pathlib import Path

_COSTS = "/assets/openai/{organization}/costs"
_PAGES = {
    "all groups of assets": ("/asset-groups", "org0001"),  # the first: the list draws what can be seen
    "an organization's days": (f"{_COSTS}?view=partitions", "{day}"),
    "its checks": (f"{_COSTS}?view=checks", "anomalous_spend"),
    "its columns": (_COSTS, "The UTC day that was billed"),
    "all runs": ("/runs", "openai_costs_refresh"),
    "the sensor": ("/automation", "openai_costs_refresh"),
}
_PATIENCE = 120_000  # milliseconds
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def look(url: str, organization: str, pictures: Path | None = None) -> dict[str, float]:
    """Return seconds by page, or nothing without a browser. `pictures` is a folder for screenshots."""
    browser_path = next(filter(None, map(shutil.which, _NAMES)), None)
    if browser_path is None:
        return {}
    from playwright.sync_api import sync_playwright

    words = {"organization": organization, "day": str(dt.datetime.now(dt.UTC).date())}
    arguments = [] if os.geteuid() else ["--no-sandbox"]
    took: dict[str, float] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--disable-gpu", *arguments])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(_PATIENCE)
        page.goto(f"{url}/config")  # the application itself is loaded once
        page.get_by_text("Configuration").first.wait_for()
        for name, (address, text) in _PAGES.items():
            begun = time.monotonic()
            page.goto(url + address.format(**words))
            page.get_by_text(text.format(**words)).first.wait_for()
            took[name] = time.monotonic() - begun
            if pictures:
                page.wait_for_timeout(1_000)
                page.screenshot(path=pictures / f"{name.replace(' ', '-')}.png")
        browser.close()
    return took
