"""Repeats a test that fails because midnight UTC passes while it runs.

Tests of the whole program use the real clock, because Dagster's daemon and PostgreSQL have no other. They compare what
the program stores with `today()`, which is another date after midnight. Days that a fixture stored before midnight
are no longer the expected ones, so every fixture is made again on the new date, those of the session included.
Midnight inside the product is tested with injected clocks, which this module does not affect.
"""

from __future__ import annotations

import datetime as dt

import pytest
from _pytest.runner import runtestprotocol


def today() -> dt.date:
    """The present UTC date. A test must not keep it in a module constant, which is evaluated before fixtures are."""
    return dt.datetime.now(dt.UTC).date()


_DATE = pytest.StashKey[dt.date]()
"""The date on which the session's present fixtures were made."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Runs a test with fixtures of today, and runs it again if it failed and the date changed meanwhile."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    _renew_fixtures(item)
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    if any(report.failed for report in reports) and _renew_fixtures(item):
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _renew_fixtures(item: pytest.Item) -> bool:
    """Tears every fixture down if they were made on an earlier date; returns whether they were."""
    date, stash = today(), item.session.stash
    if stash.setdefault(_DATE, date) == date:
        return False
    item.session._setupstate.teardown_exact(None)  # pytest has no public way
    stash[_DATE] = date
    return True
