"""Tests of the plugin `midnight`: only failures during which the UTC date changed are repeated."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

_CONFTEST = """
import datetime as dt

import pytest

from openai_costs_dagster_tests import midnight
from openai_costs_dagster_tests.midnight import pytest_runtest_protocol

DATES = [dt.date(2026, 12, 31)]
midnight.today = lambda: DATES[-1]


@pytest.fixture(scope="session")
def stored():
    return midnight.today()


@pytest.fixture
def midnight_passes():
    return lambda: DATES.append(DATES[-1] + dt.timedelta(days=1))
"""
_TESTS = """
from openai_costs_dagster_tests import midnight

ATTEMPTS = []


def test_during(stored, midnight_passes):
    if stored.year == 2026:
        midnight_passes()
    assert stored == midnight.today()


def test_before(stored, midnight_passes):
    midnight_passes()


def test_after(stored):
    assert stored == midnight.today()


def test_fails_on_both_dates(midnight_passes):
    midnight_passes()
    raise AssertionError


def test_fails_without_midnight():
    ATTEMPTS.append("one")
    assert len(ATTEMPTS) > 1
"""


def test_only_failures_caused_by_midnight_are_repeated(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_dates.py").write_text(_TESTS)
    finished = subprocess.run(  # noqa: S603  # pytest itself
        [
            sys.executable,
            "-m",
            "pytest",
            "-rA",
            "-p",
            "no:cacheprovider",
            "-c",
            os.devnull,
            "--rootdir",
            tmp_path,
            tmp_path,
        ],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert re.findall(r"^(PASSED|FAILED) .*::(\w+)", finished.stdout, re.MULTILINE) == [
        ("PASSED", "test_during"),
        ("PASSED", "test_before"),
        ("PASSED", "test_after"),
        ("FAILED", "test_fails_on_both_dates"),
        ("FAILED", "test_fails_without_midnight"),
    ], finished.stdout + finished.stderr
