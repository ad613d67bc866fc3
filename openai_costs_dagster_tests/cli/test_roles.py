"""Tests of `roles`, which prints SQL for the database roles. The owner migrates; the loader runs all other commands."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from ..conftest import Databases
from ..installation import Installation, postgres_program
from .conftest import RunCommand
from .program import Finished, Workplace, days_ago, expected_costs, workplace

HISTORY = 8  # This is the number of days, including today.


@dataclass(frozen=True)
class Worked:
    """A database with roles, and the results of the first commands of the owner and the loader."""

    place: Workplace
    installation: Installation
    organization: SimulatedOrganization
    too_early: Finished
    migrated: Finished
    backfilled: Finished

    def run(self, *command: str) -> Finished:
        return self.place.run(*command, DATABASE_URL=self.installation.loader.url)


@pytest.fixture(scope="module")
def worked(trust_server: Databases) -> Iterator[Worked]:
    """Set up roles with `--by-organization`, the variant with the fewest privileges for the loader."""
    organization = SimulatedOrganization(users_with_projects_served=True)
    database = trust_server.new(prepared=False)
    with Simulator([organization]) as simulator, workplace() as place:
        place.configure(
            simulator,
            {"acme": organization},
            start_date=days_ago(HISTORY - 1),
            database={"url": {"env": "DATABASE_URL"}},
        )
        script = place.run("roles", "--by-organization").out
        for _ in range(2):
            subprocess.run(  # noqa: S603  # our own program
                [postgres_program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", database.url],
                input=script,
                text=True,
                check=True,
                capture_output=True,
                timeout=60,
            )
        installation = Installation(database)
        yield Worked(
            place,
            installation,
            organization,
            place.run("backfill", DATABASE_URL=installation.loader.url),
            place.run("prepare", DATABASE_URL=installation.owner.url),
            place.run("backfill", DATABASE_URL=installation.loader.url),
        )
    trust_server.drop(database)


def test_loader_refuses_an_unmigrated_database(worked: Worked) -> None:
    assert worked.too_early.code == 1
    assert worked.too_early.out == ""
    assert "run openai-costs prepare as the owner of the schema" in worked.too_early.err


def test_owner_creates_the_dagster_tables(worked: Worked) -> None:
    assert worked.migrated.code == 0, worked.migrated
    owners = worked.installation.query(
        "select distinct tableowner from pg_tables where schemaname like 'openai_costs%'"
    )
    assert owners == [("openai_costs_owner",)]


def test_backfill_as_the_loader_stores_every_day_to_the_last_digit(worked: Worked) -> None:
    assert worked.backfilled.code == 0, worked.backfilled
    found = worked.installation.query(
        "select usage_date::text, project_id, line_item, coalesce(sum(amount), 0) from openai_costs.daily_costs"
        " where usage_date < (now() at time zone 'utc')::date group by 1, 2, 3"
    )
    assert {tuple(key): amount for *key, amount in found} == expected_costs(worked.organization, days_ago(HISTORY - 1))
    runs = worked.installation.query("select status from openai_costs_dagster.runs")
    assert runs == [("SUCCESS",)]


@pytest.mark.parametrize("command", ["status", "report"])
def test_loader_runs_all_other_commands(worked: Worked, command: str) -> None:
    done = worked.run(command)
    assert done.code == 0, done


def test_migrating_again_changes_nothing(worked: Worked) -> None:
    def state() -> list[tuple[object, ...]]:
        return worked.installation.query(
            "select oid::regclass::text, relowner, relacl::text, relrowsecurity from pg_class"
            " where relnamespace in ('openai_costs'::regnamespace, 'openai_costs_dagster'::regnamespace) order by 1"
        )

    before = state()
    again = worked.place.run("prepare", DATABASE_URL=worked.installation.owner.url)
    assert again.code == 0, again
    assert state() == before


def test_loader_deletes_an_organization(worked: Worked) -> None:
    file = worked.place.folder / "openai_costs.yaml"
    renamed = file.with_name("without_acme.yaml")
    renamed.write_text(file.read_text(encoding="utf-8").replace("acme:", "another:"), encoding="utf-8")
    url = worked.installation.loader.url
    done = worked.place.run("remove", "acme", "--purge", DATABASE_URL=url, OPENAI_COSTS_CONFIG=renamed.name)
    assert done.code == 0, done
    assert worked.installation.query("select from openai_costs.cost_rows") == []
    assert worked.installation.query("select from openai_costs_dagster.runs") == []


def test_roles_runs_nothing_and_needs_no_configuration(run_command: RunCommand, tmp_path: Path) -> None:
    plain, by_organization = run_command("roles"), run_command("roles", "--by-organization")
    assert (plain.code, by_organization.code) == (0, 0)
    assert plain.out.startswith("begin;")
    assert plain.out.endswith("commit;\n")
    assert "create table if not exists openai_costs.reader_organizations" not in plain.out
    assert "create table if not exists openai_costs.reader_organizations" in by_organization.out
    assert list(tmp_path.iterdir()) == []


def test_readers_add_prints_sql_without_a_configuration(run_command: RunCommand, tmp_path: Path) -> None:
    printed = run_command("readers", "add", "kim", "--sql")
    assert printed.code == 0
    assert printed.out.startswith("begin;")
    assert "reader constant text := 'kim';" in printed.out
    assert list(tmp_path.iterdir()) == []


def test_readers_add_creates_a_reader_and_names_the_missing_organization(worked: Worked) -> None:
    name = f"kim_{worked.installation.database.url.split('/')[3].split('?')[0]}"
    added = worked.place.run("readers", "add", name, DATABASE_URL=worked.installation.database.url)
    assert added.code == 0, added
    assert f"\\password {name}" in added.out
    assert f"{name} sees no rows yet: repeat the command with --organization ORG" in added.out
    again = worked.place.run(
        "readers", "add", name, "--organization", "acme", DATABASE_URL=worked.installation.database.url
    )
    assert again.code == 0, again
    assert "sees no rows" not in again.out
    refused = worked.run("readers", "add", name)
    assert (refused.code, refused.out) == (1, "")
    worked.installation.run(f"drop owned by {name}", f"drop role {name}")
