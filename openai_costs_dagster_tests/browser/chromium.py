"""Starts the installed Chromium with Playwright. The tests do not use the browser that Playwright downloads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

VARIABLE = "CHROMIUM_PATH"
INSTALL_HINT = f"Chromium is not installed: run `apt-get install chromium`, or set {VARIABLE} to the path of Chrome"

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str | None:
    """Return the path of the browser, or None if none is installed."""
    return os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """Yield a running browser with additional command line arguments."""
    # Chromium refuses to start its sandbox as root.
    sandbox = [] if os.geteuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=[*_ARGUMENTS, *sandbox, *arguments])
        try:
            yield browser
        finally:
            browser.close()


class MonitoredPage:
    """A page with its script errors, console warnings and network requests."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "console",
            lambda message: self.errors.append(message.text) if message.type in {"error", "warning"} else None,
        )
        page.on("request", lambda request: self.requests.append(request.url))
