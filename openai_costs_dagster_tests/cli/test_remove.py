"""Tests of `remove`, which requires that the organization is not configured and deletes its data with `--purge`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from openai_costs_dagster.warehouse.database import Database

from ..loaded import VANISHING_HISTORY, Loaded
from .conftest import RunCommand
from .program import Workplace, days_ago, lines

DEFINITIONS = {"snapshots"}
"""Tables with Dagster's snapshots of jobs, which contain the names of all organizations but no synced data."""


def test_lines_to_delete_are_shown_for_a_configured_organization(run_command: RunCommand, tmp_path: Path) -> None:
    config = tmp_path / "openai_costs.yaml"
    config.write_text(
        "# ours\n"
        "organizations:\n"
        "  acme:\n"
        "    admin_key: {env: ACME_KEY}\n"
        "    # since the merger\n"
        "    start_date: 2026-01-01\n"
        "\n"
        "  beta:\n"
        "    admin_key: {env: BETA_KEY}\n"
        "refresh: {trailing_days: 5}\n"
    )
    for options in ([], ["--purge"]):
        finished = run_command("remove", "acme", *options)
        assert (finished.code, finished.out) == (2, "")
        assert lines(finished.err) == [
            f"openai-costs: {config} still contains acme; delete these lines first:",
            "  3:   acme:",
            "  4:     admin_key: {env: ACME_KEY}",
            "  5:     # since the merger",
            "  6:     start_date: 2026-01-01",
        ]
    assert list(tmp_path.iterdir()) == [config]


def test_organization_of_the_environment_is_removed_by_unsetting_its_key(
    run_command: RunCommand, tmp_path: Path
) -> None:
    finished = run_command("remove", "default", OPENAI_ADMIN_KEY="sk-admin-simulated-acme")
    assert (finished.code, finished.err) == (2, "openai-costs: default comes from OPENAI_ADMIN_KEY: unset it first\n")
    assert list(tmp_path.iterdir()) == []


def test_history_stays_until_it_is_purged_and_then_nothing_is_left(loaded: Loaded) -> None:
    place = loaded.place
    others = [place.stored(name) for name in loaded.organizations]
    days = {days_ago(number) for number in range(VANISHING_HISTORY)}

    removed = place.run("remove", "vanishing")
    assert (removed.code, removed.err) == (0, "")
    assert "vanishing is no longer read; its data remain" in removed.out
    assert place.stored_days("vanishing") == days
    assert _tables_that_mention(place, "vanishing") >= {"openai_costs.cost_rows", "openai_costs_dagster.event_logs"}

    exports = place.data / "exports"
    exports.mkdir(exist_ok=True)
    for name in ("openai-spend.html", "openai-focus-2026-03.csv"):
        (exports / name).write_text("what vanishing spent")
    purged = place.run("remove", "vanishing", "--purge")
    assert (purged.code, purged.err) == (0, "")
    assert [file.name for file in exports.iterdir()] == ["openai-focus-2026-03.csv"]
    assert "openai-focus-2026-03.csv may still contain vanishing" in purged.out
    assert f"{VANISHING_HISTORY} rows deleted from cost_days" in lines(purged.out)
    assert "1 rows deleted from Dagster's runs" in lines(purged.out)
    assert lines(purged.out)[-1] == "vanishing was deleted"
    assert _tables_that_mention(place, "org-SIMULATEDLEAVES") == set()
    assert _tables_that_mention(place, "vanishing") == set()

    assert place.run("remove", "vanishing", "--purge").code == 2
    assert [place.stored(name) for name in loaded.organizations] == others


@pytest.mark.parametrize("options", [[], ["--purge"]])
def test_unknown_organization_is_refused(run_command: RunCommand, database: Database, options: list[str]) -> None:
    key = {"OPENAI_ADMIN_KEY": "sk-admin-simulated-acme"}
    finished = run_command("remove", "nobody", *options, DATABASE_URL=database.url, **key)
    assert (finished.code, finished.out) == (2, "")
    assert finished.err == "openai-costs: there is no organization 'nobody', neither configured nor stored\n"


def _tables_that_mention(place: Workplace, text: str) -> set[str]:
    with psycopg.connect(place.database_url) as connection:
        tables: list[tuple[Any, ...]] = connection.execute(
            """
            select table_schema, table_name from information_schema.tables
            where table_schema like 'openai_costs%' and table_type = 'BASE TABLE'
            """
        ).fetchall()
        return {
            f"{schema}.{table}"
            for schema, table in tables
            if table not in DEFINITIONS
            and connection.execute(
                sql.SQL("select from {} as entry where entry::text like %s limit 1").format(
                    sql.Identifier(schema, table)
                ),
                [f"%{text}%"],
            ).fetchone()
            is not None
        }
