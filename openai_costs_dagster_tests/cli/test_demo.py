"""Tests of `demo --once`, which runs on simulated organizations and changes no file of the user."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from openai_costs_dagster.simulator import SimulatedOrganization, Simulator

from .conftest import RunCommand
from .program import Finished, Workplace, lines, workplace, yesterday

FOLDER = ".openai-costs-demo"


@dataclass(frozen=True)
class Demo:
    """A finished demo in a user's working directory, with the contents of the user's files before the demo."""

    place: Workplace
    users: Simulator
    finished: Finished
    before: dict[Path, bytes]


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    users = SimulatedOrganization(organization_id="org-OFTHEUSER", admin_key="sk-admin-of-the-user")
    with Simulator([users]) as simulator, workplace() as place:
        config = place.configure(simulator, {"mine": users})
        (place.folder / "broken.yaml").write_text("organizations: [")
        before = _files(place.folder)
        finished = place.run(
            "demo",
            "--once",
            OPENAI_ADMIN_KEY="sk-admin-of-the-user",
            OPENAI_BASE_URL=simulator.base_url,
            OPENAI_ORG_ID="org-OFTHEUSER",
            OPENAI_COSTS_CONFIG=str(config.with_name("broken.yaml")),
            DATABASE_URL="postgresql://someone:hunter2@127.0.0.1:1/costs",
            DAGSTER_HOME=str(place.folder / "nowhere"),
            HTTP_PROXY="http://127.0.0.1:1",
            HTTPS_PROXY="http://127.0.0.1:1",
        )
        yield Demo(place, simulator, finished, before)


def _files(folder: Path) -> dict[Path, bytes]:
    """Return the contents of all files outside the folder of the demo, by path."""
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and FOLDER not in path.relative_to(folder).parts
    }


def test_demo_exits_with_0(demo: Demo) -> None:
    assert (demo.finished.code, demo.finished.err) == (0, "")
    for name in ("acme", "lumen", "nimbus"):
        assert any(line.startswith(f"{name}-simulated: 89 days stored, $") for line in lines(demo.finished.out))
        assert any(line.startswith(f"{name}-simulated: 4 days stored, $") for line in lines(demo.finished.out))


def test_demo_finds_the_planted_anomaly(demo: Demo) -> None:
    found = f"acme-simulated: anomaly {yesterday()}: Up $"
    assert len([line for line in lines(demo.finished.out) if line.startswith(found)]) == 1
    assert "anomalous_spend" in demo.finished.out


def test_demo_marks_its_data_as_simulated(demo: Demo) -> None:
    assert "simulated" in lines(demo.finished.out)[0].lower()
    assert (demo.place.folder / FOLDER / "simulated-data").exists()
    config = (demo.place.folder / FOLDER / "openai_costs.yaml").read_text()
    assert config.count("-simulated:\n") == config.count("(simulated)") == 3


def test_demo_changes_nothing_outside_its_folder(demo: Demo) -> None:
    assert _files(demo.place.folder) == demo.before
    assert {path.name for path in demo.place.folder.iterdir()} == {FOLDER, "home", "openai_costs.yaml", "broken.yaml"}
    assert list((demo.place.folder / "home").iterdir()) == []


def test_demo_ignores_the_users_configuration(demo: Demo) -> None:
    assert demo.users.requests == []
    assert "of-the-user" not in demo.finished.output
    assert "hunter2" not in demo.finished.output


def test_demo_leaves_no_process_behind(demo: Demo) -> None:
    assert demo.place.processes() == []
    assert not (demo.place.folder / FOLDER / "postgres" / "postmaster.pid").exists()


def test_folder_not_created_by_the_demo_is_not_changed(run_command: RunCommand, tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "thesis.txt").write_text("years of work")
    finished = run_command("demo", "--once")
    assert (finished.code, finished.out) == (2, "")
    assert (
        finished.err == f"openai-costs: {tmp_path / FOLDER} exists and was not created by the demo: move or rename it\n"
    )
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["thesis.txt"]
    assert (tmp_path / FOLDER / "thesis.txt").read_text() == "years of work"
