"""Tests of billed user totals, which apply to days without rows by user and are never added to costs."""

from __future__ import annotations

from decimal import Decimal

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.records import UserTotal
from openai_costs_dagster.spend.allocation.allocate import LARGEST_UNEXPLAINED_SPLIT
from openai_costs_dagster.sync.allocation import allocate_days
from openai_costs_dagster.warehouse import allocations, anomalies, budgets
from openai_costs_dagster.warehouse.database import Connection

from ..conftest import NOW
from .windows import DAY, row, store

LABEL, OTHER = "gpt-5, output", "gpt-5, input"
ONE_DAY = DayRange(DAY, DAY)
PROJECTS, USERS = 1_000, 20


def load(connection: Connection, *, projects: int = PROJECTS) -> None:
    rows = [row(str(USERS), LABEL, f"proj_{project}") for project in range(projects)]
    store(connection, {DAY: [*rows, row("5", OTHER, "proj_0")]})
    totals = [UserTotal(f"user-{user}", LABEL, "usd", Decimal(projects)) for user in range(USERS)]
    totals.append(UserTotal("user-1", OTHER, "usd", Decimal(5)))
    allocations.store_user_costs(connection, "acme", ONE_DAY, {DAY: totals}, NOW)
    allocate_days(connection, "acme", [DAY], NOW)


def spent(connection: Connection, user: str) -> Decimal:
    return budgets.spend(connection, "acme", "user", user, ONE_DAY)[DAY]


def test_unsplit_rows_stay_unallocated_and_the_users_totals_count(connection: Connection) -> None:
    assert PROJECTS * USERS > LARGEST_UNEXPLAINED_SPLIT
    load(connection)
    found = connection.execute(
        "select line_item, method, count(*), sum(amount) from openai_costs.allocated_costs group by 1, 2 order by 1"
    ).fetchall()
    assert found == [(OTHER, "billed", 1, 5), (LABEL, "unallocated", PROJECTS, USERS * PROJECTS)]
    assert spent(connection, "user-0") == PROJECTS
    assert spent(connection, "user-1") == PROJECTS + 5
    by_user = {user: amount for _, user, amount in anomalies.spend_of_users(connection, "acme", ONE_DAY)}
    assert by_user == {f"user-{user}": PROJECTS + 5 * (user == 1) for user in range(USERS)}
    totals = connection.execute("select count(*), sum(amount) from openai_costs.user_totals").fetchall()
    assert totals == [(USERS + 1, USERS * PROJECTS + 5)]


def test_split_rows_count_once(connection: Connection) -> None:
    load(connection, projects=10)
    assert spent(connection, "user-0") == 10
    assert spent(connection, "user-1") == 15


def test_totals_do_not_count_after_the_costs_were_loaded_again(connection: Connection) -> None:
    load(connection)
    store(connection, {DAY: [row("7", LABEL, "proj_0", user_id="user-0")]})
    assert spent(connection, "user-0") == 7
    assert "user-1" not in {user for _, user, _ in anomalies.spend_of_users(connection, "acme", ONE_DAY)}
