"""Fixtures that replace the waits between retries and remove the proxies of the environment."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import stamina


class Pauses(list[float]):
    """The waits between retries in seconds, in order. The simulated time is their sum."""


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pauses]:
    """Record the waits between retries instead of sleeping, and advance the clock of the retry library by them."""
    recorded = Pauses()
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=recorded.append))
    monkeypatch.setattr("tenacity.time", SimpleNamespace(monotonic=lambda: sum(recorded)))
    with stamina.set_testing(False):
        yield recorded


@pytest.fixture(autouse=True)
def _without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
