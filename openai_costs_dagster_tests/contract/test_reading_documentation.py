"""Contract of docs/openai-api.md: every requested path is documented with its scope, and the `curl` commands work."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import openai_costs_dagster
from openai_costs_dagster.api.client import READABLE_PATHS
from openai_costs_dagster.cli import cli
from openai_costs_dagster.simulator import SimulatedOrganization, Simulator
from openai_costs_dagster.simulator.organization import MANAGEMENT_SCOPE, USAGE_SCOPE
from openai_costs_dagster.usage_records import OPERATIONS

ROOT = Path(openai_costs_dagster.__file__).parents[1]
PAGE = (ROOT / "docs" / "openai-api.md").read_text(encoding="utf-8")


def readable() -> Iterator[str]:
    """Yield every path that the client may request, with alternatives written out."""
    operations = "|".join(operation.name for operation in OPERATIONS)
    for pattern in READABLE_PATHS:
        text = pattern.pattern.replace("[a-z_]+", f"({operations})").replace(r"[\w-]+", "<id>")
        parts = [part.split("|") for part in re.split(r"\(([^)]+)\)", text)]
        yield from map("".join, itertools.product(*parts))


def rows() -> dict[str, str]:
    """Return the documented scope of each path."""
    table = re.findall(r"^\| `GET (.+?) \| `(api\.[a-z.]+)` \| .+ \|$", PAGE, re.MULTILINE)
    found: dict[str, str] = {}
    for cell, scope in table:
        for path in re.findall(r"/organization/[\w<>/]+", cell):
            found[path] = scope
        if "/usage/…" in cell:
            found.update({f"/organization/usage/{name}": scope for name in re.findall(r"`([a-z_]+)`", cell)})
            found.pop("/organization/usage/", None)
    return found


def test_documented_paths_and_scopes_equal_the_allowed_paths() -> None:
    assert len(list(readable())) > 15
    assert set(rows()) == set(readable())


def test_costs_and_usage_need_the_usage_scope_and_other_paths_another() -> None:
    for path, scope in rows().items():
        is_bill = path.startswith(("/organization/costs", "/organization/usage/"))
        assert scope == (USAGE_SCOPE if is_bill else MANAGEMENT_SCOPE), path


def curls() -> list[str]:
    return re.findall(r"```console\n(curl .+?)```", PAGE, re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed: the documented commands need it")
def test_documented_curl_command_verifies_a_key() -> None:
    organization = SimulatedOrganization()
    with Simulator([organization]) as simulator:
        costs, projects = (
            json.loads(run(command.replace("https://api.openai.com/v1", simulator.base_url), organization.admin_key))
            for command in curls()
        )
        refused = json.loads(run(curls()[0].replace("https://api.openai.com/v1", simulator.base_url), "sk-admin-no"))
    assert (costs["object"], len(costs["data"])) == ("page", 1)
    assert costs["data"][0]["results"]
    assert projects["data"]
    assert refused["error"]["code"] == "invalid_api_key"


def run(command: str, key: str) -> str:
    environment = {"OPENAI_ADMIN_KEY": key, "PATH": "/usr/bin:/bin", "NO_PROXY": "127.0.0.1"}
    return subprocess.run(  # noqa: S602  # our own page
        command, shell=True, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])


@pytest.mark.parametrize("document", PAGES, ids=lambda page: page.stem)
def test_every_command_in_the_docs_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for command, rest in re.findall(r"(?<![\w/.-])openai-costs ([a-z][a-z-]+)((?: [^`\n|#$)]*)?)", text):
        if command not in cli.commands:
            assert f"openai-costs {command}" not in "".join(re.findall(r"`[^`]+`", text)), command
            continue
        assert set(re.findall(r"(?<=\s)--[a-z][a-z-]+", rest)) <= options(command), rest


def options(command: str) -> set[str]:
    """Return the options of a command and of its subcommands."""
    found = cli.commands[command]
    inner = found.commands.values() if isinstance(found, click.Group) else ()
    return {option for part in (found, *inner) for parameter in part.params for option in parameter.opts}
