"""The lock of an organization: a PostgreSQL advisory lock that allows one synchronization at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from openai_costs_dagster.warehouse.database import Connection, Database
from openai_costs_dagster.warehouse.statements import statement

_TRY_LOCK = "select pg_try_advisory_lock(hashtextextended(%(key)s, 0))"
_LOCK = "select pg_advisory_lock(hashtextextended(%(key)s, 0))"


@contextmanager
def organization_lock(
    database: Database, organization: str, *, purpose: str, on_wait: Callable[[str], None]
) -> Iterator[Connection]:
    """Yield a connection that holds the lock of an organization, after waiting for other holders.

    Before waiting, `on_wait` is called once with a message that names the holder. PostgreSQL releases the lock when the
    connection ends, even if this process is killed.
    """
    # PostgreSQL shows the name of the session, so that a waiting process can report the holder.
    with database.connect(name=f"openai-costs {organization} {purpose}") as connection:
        lock = {"key": f"openai_costs/organization/{organization}"}
        # The first attempt does not wait, because the message must name the holder before the wait begins.
        row = connection.execute(_TRY_LOCK, lock).fetchone()
        if not (row and row[0]):
            holder = connection.execute(statement("session/lock_holder"), lock).fetchone()
            on_wait(
                f"another process synchronizes {organization}: {holder[0] if holder else 'just ending'}; waiting for it"
            )
            connection.execute(_LOCK, lock)
        yield connection
