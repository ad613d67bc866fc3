"""Tests of the component in a Dagster project that is created and run with the public `dg`."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from openai_costs_dagster.simulator import SimulatedOrganization, Simulator
from openai_costs_dagster.spend import money
from openai_costs_dagster.warehouse.database import Database

from ..cli.program import days_ago, expected_costs, yesterday
from ..conftest import Databases
from . import dg_environment

COMPONENT = "openai_costs_dagster.OpenAICostsComponent"


def first_day() -> dt.date:
    return days_ago(10)


FAMILY = [f"finance/openai/acme/{name}" for name in ("costs", "usage", "allocated_costs")]
_TIMEOUT_S = 240


@dataclass(frozen=True)
class Project:
    """A project created by `create-dagster`, whose Dagster storage is in a separate folder."""

    folder: Path
    programs: Path
    environment: dict[str, str]

    def run(self, program: str, *arguments: str, folder: Path | None = None) -> str:
        """Run a command, fail the test if the command fails, and return its standard output."""
        done = subprocess.run(  # noqa: S603  # Dagster's own programs
            [self.programs / program, *arguments],
            cwd=folder or self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def edit(self, **attributes: Any) -> None:
        """Set the attributes in the scaffolded `defs.yaml`."""
        file = self.folder / "src" / "host" / "defs" / "openai" / "defs.yaml"
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert settings["type"] == COMPONENT
        file.write_text(yaml.safe_dump({**settings, "attributes": attributes}), encoding="utf-8")


@pytest.fixture(scope="module")
def database(databases: Databases) -> Iterator[Database]:
    database = databases.new(prepared=False)
    yield database
    databases.drop(database)


@pytest.fixture(scope="module")
def simulated() -> SimulatedOrganization:
    return SimulatedOrganization(api_keys_from=None, users_with_projects_served=True)


@pytest.fixture(scope="module")
def project(
    database: Database, simulated: SimulatedOrganization, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    programs = dg_environment.programs()
    if programs is None:
        pytest.skip("dg cannot be had: it needs a package index, once, to make .venv-dg")
    place = tmp_path_factory.mktemp("own_project")
    (place / "home").mkdir()
    (place / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    environment = {
        "PATH": os.pathsep.join([str(programs), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(place / "home"),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(place / "host" / "src"),
        "DAGSTER_HOME": str(place / "home"),
        "ACME_KEY": simulated.admin_key,
        "COSTS_DATABASE_URL": database.url,
    }
    project = Project(place / "host", programs, environment)
    with Simulator([simulated]) as simulator:
        project.run("create-dagster", "project", "host", "--no-uv-sync", folder=place)
        project.run("dg", "scaffold", "defs", COMPONENT, "openai")
        organization = {
            "admin_key": {"env": "ACME_KEY"},
            "base_url": simulator.base_url,
            "start_date": str(first_day()),
        }
        project.edit(
            organizations={"acme": organization},
            database={"url": {"env": "COSTS_DATABASE_URL"}},
            asset_key_prefix=["finance", "openai"],
            checks=["anomalous_spend"],
            group_name="finance",
            automation=False,
        )
        yield project


def test_dg_lists_the_component(project: Project) -> None:
    assert COMPONENT in project.run("dg", "list", "components")


def test_dg_check_passes_and_lists_the_configured_assets(project: Project) -> None:
    project.run("dg", "check", "defs")
    listed = json.loads(project.run("dg", "list", "defs", "--json"))
    assets = {asset["asset_key"]: asset["group_name"] for asset in listed["assets"]}
    assert set(FAMILY) | {"finance/openai/spend_report", "finance/openai/focus_export"} <= set(assets)
    assert set(assets.values()) == {"finance"}
    checks = {check["name"] for check in listed["asset_checks"]}
    assert checks == {"complete", "reconciles", "usage_matches_bill", "anomalous_spend"}


def test_amounts_materialized_in_the_project_are_exact(
    project: Project, database: Database, simulated: SimulatedOrganization
) -> None:
    project.run("dg", "launch", "--assets", ",".join(FAMILY), "--partition", str(yesterday()))
    with database.connect() as connection:
        ((stored, count),) = connection.execute(
            "select sum(amount), count(distinct usage_date) from openai_costs.allocated_costs"
        ).fetchall()
    expected = money.total(
        amount for amount in expected_costs(simulated, yesterday()).values() if isinstance(amount, Decimal)
    )
    assert (stored, count) == (expected, 1)
