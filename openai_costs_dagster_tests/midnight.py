"""A pytest plugin that repeats a test if it fails and the UTC date changed during the test.

End-to-end tests use the real clock, because Dagster's daemon and PostgreSQL have no other clock. These tests compare
stored days with `today()`, which changes at midnight UTC. All fixtures are therefore created again on the new date,
including session fixtures. Tests with an injected clock are not affected.
"""

from __future__ import annotations

import datetime as dt

import pytest
from _pytest.runner import runtestprotocol


def today() -> dt.date:
    """Return the current UTC date. Do not store it in a module constant, which is evaluated before the fixtures."""
    return dt.datetime.now(dt.UTC).date()


_DATE = pytest.StashKey[dt.date]()
"""The UTC date on which the current fixtures of the session were created."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Run a test with fixtures of the current date, and once more if it fails and the date has changed meanwhile."""
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
    """Tear down all fixtures if they were created on an earlier date. Return whether that was the case."""
    date, stash = today(), item.session.stash
    if stash.setdefault(_DATE, date) == date:
        return False
    item.session._setupstate.teardown_exact(None)  # pytest has no public function for this.
    stash[_DATE] = date
    return True
