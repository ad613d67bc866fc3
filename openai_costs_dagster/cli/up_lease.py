"""The lease that allows one `openai-costs up` per database, from whichever machine and data directory.

Two daemons on one database would start every run twice. `up.py` refuses a second `up` in the same data directory before
this lease is requested.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from openai_costs_dagster.cli.errors import InputMistake
from openai_costs_dagster.orchestration.runtime.process_id import Process, State
from openai_costs_dagster.warehouse import lease
from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.errors import WarehouseError

NAME = "up"
_PURPOSE = "openai-costs up"
_LOG = logging.getLogger(__name__)


@contextmanager
def only_up(database: Database) -> Iterator[None]:
    """Hold the lease named `up` while the `with` block runs.

    Raises `InputMistake` if another `openai-costs up` process holds the lease. A lease can be lost while the `with`
    block runs, for example because the database was down for minutes. The block then continues, and this process
    acquires the lease again as soon as no other process holds the lease.
    """
    with database.connect(name=_PURPOSE) as connection:
        held = _acquire(connection)
        if held is None:
            raise InputMistake(_refusal(connection))
    holding = _Holding(database, held)
    try:
        with lease.renewing(holding.renew):
            yield
    finally:
        # A lease that cannot be released expires by itself, and a new `up` on this host does not wait for its end.
        with suppress(WarehouseError):
            holding.release()


class _Holding:
    """The lease named `up` of this process, which the process can lose and acquire again."""

    def __init__(self, database: Database, held: lease.Lease) -> None:
        self._database = database
        self._lease: lease.Lease | None = held

    def renew(self) -> None:
        """Renew the lease, or acquire it again after a loss. Raises a `WarehouseError`."""
        with self._database.connect(name=_PURPOSE) as connection:
            if self._lease and lease.renew(connection, self._lease):
                return
            was_held, self._lease = self._lease is not None, _acquire(connection)
            # A loss is logged once, although the lease is requested again at every renewal.
            if self._lease is None and was_held:
                _LOG.error("both keep running, which starts runs twice: %s", _refusal(connection))

    def release(self) -> None:
        """End the lease. Raises a `WarehouseError`."""
        if self._lease:
            with self._database.connect(name=_PURPOSE) as connection:
                lease.release(connection, self._lease)


def _acquire(connection: Connection) -> lease.Lease | None:
    """Take the lease if it is free, or if the process that holds it has ended on this host."""
    holder = lease.holder(connection, NAME)
    process = Process.parse(holder.process) if holder and holder.process else None
    if holder and process and process.state is State.ENDED:
        # With the token, the statement never ends a lease that another process has acquired meanwhile.
        lease.release(connection, lease.Lease(NAME, holder.token))
    return lease.acquire(connection, NAME, _PURPOSE, ends_with_session=False, process=str(Process.of()))


def _refusal(connection: Connection) -> str:
    holder = lease.holder(connection, NAME)
    if holder is None:
        return "another openai-costs up on this database ended at this moment: try again"
    process = Process.parse(holder.process or "")
    is_running = process is not None and process.state is State.RUNNING
    remedy = "" if is_running else f"; if that host is gone, try again after {holder.expires_at:%H:%M:%S} UTC"
    return (
        f"another {holder.owner} uses this database since {holder.acquired_at:%Y-%m-%d %H:%M:%S} UTC: "
        f"stop it there{remedy}"
    )
