"""Tests of a run that loses its lease to another process: the run stores nothing more, and its failure is transient."""

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


class LeaseTakeover(Clock):
    """A clock that lets another process take over the lease of a run.

    While the run holds its lease, the call number `call` of the clock expires the lease and calls `take_over`.
    """

    def __init__(self, work: SyncSetup, take_over: Callable[[], object], *, call: int) -> None:
        super().__init__(work.clock.now)
        self._work, self._take_over = work, take_over
        self._left = call
        self._lock = threading.Lock()  # Several threads fetch usage at the same time, and each thread calls the clock.
        self.stored: dict[str, Any] = {}
        """The stored rows after the other process has finished."""

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
    """Return the rows of all tables except `leases` and `organizations`. The table `organizations` records failures."""
    with work.database.connect() as connection:
        rows = everything(connection)
    return {table: content for table, content in rows.items() if table not in {"leases", "organizations"}}


@pytest.mark.parametrize("call", [1, 4])
def test_costs_of_the_new_lease_holder_stay(make_sync_setup: MakeSyncSetup, call: int) -> None:
    work = make_sync_setup()
    takeover = LeaseTakeover(work, lambda: work.ingest(DAYS), call=call)
    outcome = work.ingest([*DAYS, DAYS[-1] + dt.timedelta(days=1)], now=takeover, trigger="schedule")
    assert takeover.stored["cost_rows"]
    assert outcome.stored == {}
    assert {failure.kind for failure in outcome.failed.values()} == {errors.LeaseLost.__name__}
    assert not any(failure.permanent for failure in outcome.failed.values())
    assert stored(work)["cost_rows"] == takeover.stored["cost_rows"]
    assert work.stored_days() == DAYS


def test_lost_lease_ends_usage_and_directory_without_storing(make_sync_setup: MakeSyncSetup) -> None:
    work = make_sync_setup(full_organization())

    def take_over() -> None:
        work.query("update openai_costs.leases set token = gen_random_uuid() returning name")

    takeover = LeaseTakeover(work, take_over, call=3)
    usage = ingest_usage(UsageRequest(work.organization, work.database, DAYS, now=takeover))
    assert usage.stored == {}
    assert not usage.permanent
    assert stored(work) == takeover.stored
    work.query("delete from openai_costs.leases returning name")
    takeover = LeaseTakeover(work, take_over, call=1)
    with pytest.raises(errors.LeaseLost):
        sync_directory(work.organization, work.database, now=takeover)
    assert stored(work) == takeover.stored
