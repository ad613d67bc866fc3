from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import stamina


class Pauses(list[float]):
    """Every pause that was asked for, in seconds, in order; the time that passes is their sum."""


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pauses]:
    """Retries ask for the pauses that users get, and none is slept: time is the sum of what was asked for."""
    asked = Pauses()
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=asked.append))
    monkeypatch.setattr("tenacity.time", SimpleNamespace(monotonic=lambda: sum(asked)))
    with stamina.set_testing(False):
        yield asked


@pytest.fixture(autouse=True)
def _without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
