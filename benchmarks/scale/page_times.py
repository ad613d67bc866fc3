"""Measures in Chromium how long pages of the Dagster UI take until their expected text is visible."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
from pathlib import Path

_COSTS = "/assets/openai/{organization}/costs"
_PAGES = {
    # The list draws only the groups that fit into the window, so the expected text is the first group.
    "all groups of assets": ("/asset-groups", "org0001"),
    "an organization's days": (f"{_COSTS}?view=partitions", "{day}"),
    "its checks": (f"{_COSTS}?view=checks", "anomalous_spend"),
    "its columns": (_COSTS, "The UTC day that was billed"),
    "all runs": ("/runs", "openai_costs_refresh"),
    "the sensor": ("/automation", "openai_costs_refresh"),
}
_TIMEOUT_MS = 120_000
_NAMES = ("chromium", "chromium-browser", "google-chrome")


def page_times(url: str, organization: str, pictures: Path | None = None) -> dict[str, float]:
    """Return the loading time of each page in seconds, or an empty dictionary if no browser is installed.

    `pictures` is a folder for screenshots.
    """
    browser_path = next(filter(None, map(shutil.which, _NAMES)), None)
    if browser_path is None:
        return {}
    from playwright.sync_api import sync_playwright

    values = {"organization": organization, "day": str(dt.datetime.now(dt.UTC).date())}
    arguments = [] if os.geteuid() else ["--no-sandbox"]
    seconds: dict[str, float] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--disable-gpu", *arguments])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(_TIMEOUT_MS)
        page.goto(f"{url}/config")  # Load the application, which all pages share, before the measurement.
        page.get_by_text("Configuration").first.wait_for()
        for name, (address, text) in _PAGES.items():
            started_at = time.monotonic()
            page.goto(url + address.format(**values))
            page.get_by_text(text.format(**values)).first.wait_for()
            seconds[name] = time.monotonic() - started_at
            if pictures:
                page.wait_for_timeout(1_000)
                page.screenshot(path=pictures / f"{name.replace(' ', '-')}.png")
        browser.close()
    return seconds
