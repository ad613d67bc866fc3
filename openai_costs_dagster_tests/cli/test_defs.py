"""Tests of `openai-costs --defs PATH`, which reads the configuration of a component in a Dagster project."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from ..loaded import Loaded
from ..midnight import today
from .conftest import RunCommand
from .program import Workplace


def write_project(folder: Path, **attributes: object) -> Path:
    """Write a Dagster project with this package's component, and return the path of the `defs.yaml`."""
    file = folder / "src" / "host" / "defs" / "openai" / "defs.yaml"
    file.parent.mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.dg]\n")
    component = {"type": "openai_costs_dagster.OpenAICostsComponent", "attributes": attributes}
    file.write_text(yaml.safe_dump(component))
    return file


def test_commands_read_the_component_of_a_project(loaded: Loaded) -> None:
    place = loaded.place
    settings = yaml.safe_load((place.folder / "openai_costs.yaml").read_text())
    file = write_project(place.folder / "project", data_directory="{{ env.COSTS_DATA }}", **settings)
    environment = {"COSTS_DATA": str(place.data), "OPENAI_COSTS_CONFIG": "is/ignored.yaml"}
    own = json.loads(place.run("status", "--json").out)
    status = place.run("--defs", "project", "status", "--json", **environment)
    assert status.code == 0, status.err
    assert json.loads(status.out)["organizations"] == own["organizations"]
    checked = place.run("--defs", "project/src/host/defs", "check", **environment)
    assert (checked.code, checked.out.count("Successfully connected")) == (0, 2)
    backfilled = place.run(
        *("--defs", str(file), "backfill", "--org", "acme", "--from", str(today()), "--to", str(today())), **environment
    )
    assert backfilled.code == 0, backfilled.output
    assert "acme: 1 days stored" in backfilled.out
    removed = place.run("--defs", "project", "remove", "beta", **environment)
    assert removed.code == 2
    assert f"{file} still contains beta; delete these lines first:" in removed.err


def test_down_needs_no_configuration_in_the_working_directory(place: Workplace) -> None:
    write_project(place.folder / "project", organizations={"acme": {"admin_key": {"env": "ACME_KEY"}}})
    finished = place.run("--defs", "project", "down")
    assert (finished.code, finished.out) == (0, "PostgreSQL was not running\n")


def test_invalid_component_is_reported_in_one_sentence(run_command: RunCommand, tmp_path: Path) -> None:
    file = write_project(
        tmp_path, organizations={"acme": {"admin_key": {"env": "ACME_KEY"}, "budgets": [{"amount_usd": -5}]}}
    )
    finished = run_command("--defs", str(tmp_path), "status")
    assert finished.code == 2
    assert finished.err.startswith(f"openai-costs: {file}, line 7: organizations.acme.budgets.0.amount_usd: Input")
    finished = run_command("--defs", str(tmp_path / "nowhere"), "status")
    assert (finished.code, finished.out) == (2, "")
    assert finished.err.endswith("nowhere cannot be read: No such file or directory\n")
