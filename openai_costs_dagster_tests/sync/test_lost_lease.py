"""Test that a run whose lease another process takes over stores nothing more, and that it is retried."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest

from openai_costs_dagster.sync.directory import sync_directory
from openai_costs_dagster.sync.usage import UsageRequest, ingest_usage
from openai_costs_dagster.warehouse import errors

from ..conftest import Clock
from ..simulator.full_organization import full_organization
from ..sync_fixtures import MakeSyncSetup
from ..sync_setup import SyncSetup, days
from ..warehouse.windows import everything

DAYS = days(dt.date(2026, 2, 4), 2)


class Thief(Clock):
    """A clock that expires the lease of a run, and calls `take_over`, at a later reading of the clock in the run."""

    def __init__(self, work: SyncSetup, take_over: Callable[[], object], *, reading: int) -> None:
        super().__init__(work.clock.now)
        self._work, self._take_over = work, take_over
        self._left = reading
        self._lock = threading.Lock()  # The usage of several endpoints is fetched in several threads.
        self.stored: dict[str, Any] = {}
        """What is stored after the other process has finished."""

    def __call__(self) -> dt.datetime:
        with self._lock:
            if self._left and self._work.query("select from openai_costs.leases"):
                self._left -= 1
                if not self._left:
                    self._work.query("update openai_costs.leases set expires_at = '-infinity' returning name")
                    self._take_over()
                    self.stored = stored(self._work)
        return self.now


def stored(work: SyncSetup) -> dict[str, Any]:
    """Return all rows, without those of `organizations`, where the failure of the run is recorded."""
    with work.database.connect() as connection:
        rows = everything(connection)
    return {table: content for table, content in rows.items() if table not in {"leases", "organizations"}}


@pytest.mark.parametrize("reading", [1, 4])
def test_costs_of_the_process_that_took_over_stay(make_sync_setup: MakeSyncSetup, reading: int) -> None:
    work = make_sync_setup()
    thief = Thief(work, lambda: work.ingest(DAYS), reading=reading)
    outcome = work.ingest([*DAYS, DAYS[-1] + dt.timedelta(days=1)], now=thief, trigger="schedule")
    assert thief.stored["cost_rows"]
    assert outcome.stored == {}
    assert {failure.kind for failure in outcome.failed.values()} == {errors.LeaseLost.__name__}
    assert not any(failure.permanent for failure in outcome.failed.values())
    assert stored(work)["cost_rows"] == thief.stored["cost_rows"]
    assert work.stored_days() == DAYS


def test_lost_lease_ends_usage_and_directory_without_storing(make_sync_setup: MakeSyncSetup) -> None:
    work = make_sync_setup(full_organization())

    def take_over() -> None:
        work.query("update openai_costs.leases set token = gen_random_uuid() returning name")

    thief = Thief(work, take_over, reading=3)
    usage = ingest_usage(UsageRequest(work.organization, work.database, DAYS, now=thief))
    assert usage.stored == {}
    assert not usage.permanent
    assert stored(work) == thief.stored
    work.query("delete from openai_costs.leases returning name")
    thief = Thief(work, take_over, reading=1)
    with pytest.raises(errors.LeaseLost):
        sync_directory(work.organization, work.database, now=thief)
    assert stored(work) == thief.stored
