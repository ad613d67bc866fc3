"""Tests of invalid commands, which print one sentence, exit with 1 or 2, send no request and store nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from openai_costs_dagster.simulator import SimulatedOrganization, Simulator
from openai_costs_dagster.simulator.server import utc_now
from openai_costs_dagster.warehouse.database import Database

from ..conftest import RunSimulator
from ..midnight import today
from ..warehouse.windows import everything
from .conftest import RunCommand
from .program import Finished, days_ago

KEY = "sk-admin-simulated-acme"
ONE = "organizations:\n  acme:\n    admin_key: {env: ACME_KEY}\n"
TWO = f"{ONE}  beta:\n    admin_key: {{env: BETA_KEY}}\n"
EXPORT = ["export", "focus", "--month", "2026-01", "--out"]
CLOSED = "postgresql://someone:hunter2@127.0.0.1:1/costs"
"""A database URL that refuses connections, because no process listens on port 1."""


def assert_one_sentence(finished: Finished, code: int, words: str) -> None:
    assert finished.code == code, finished
    assert re.search(words, finished.err), finished
    assert finished.err.count("\n") == 1, finished
    assert finished.err.startswith("openai-costs: ")
    assert finished.out == ""


def assert_nothing_was_made(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} <= {"openai_costs.yaml", "acme.key"}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["check", "nobody"], "no organization 'nobody'; configured: acme, beta"),
        (["check", "acme", "ACME"], "no organization 'ACME'"),
        (["backfill", "--org", "nobody"], "no organization 'nobody'; configured: acme, beta"),
        (["backfill", "--from", "2026-01-02", "--to", "2026-01-01"], "--from 2026-01-02 is after --to 2026-01-01"),
        (
            ["backfill", "--from", "{tomorrow}"],
            "--from {tomorrow} is in the future: the last possible day is today, {today} in UTC",
        ),
        (["backfill", "--to", "{tomorrow}"], "--to {tomorrow} is in the future"),
        ([*EXPORT, "x.csv", "--org", "nobody"], "no organization 'nobody'; configured: acme, beta"),
        ([*EXPORT, "x.xlsx"], r"x.xlsx has an unknown suffix: use .csv or .parquet"),
        (
            ["export", "focus", "--month", "2999-01", "--out", "x.csv"],
            "2999-01 is in the future: today is {today}",
        ),
    ],
)
def test_invalid_arguments_are_refused(run_command: RunCommand, tmp_path: Path, command: list[str], words: str) -> None:
    (tmp_path / "openai_costs.yaml").write_text(TWO)
    dates = {"today": today(), "tomorrow": days_ago(-1)}
    arguments = [word.format(**dates) for word in command]
    assert_one_sentence(run_command(*arguments, ACME_KEY=KEY, BETA_KEY="sk-admin-other"), 2, words.format(**dates))
    assert_nothing_was_made(tmp_path)


@pytest.mark.parametrize(
    "command",
    [
        ["backfill", "--from", "yesterday"],
        ["export", "focus", "--month", "2026-13", "--out", "x.csv"],
        ["export", "focus", "--month", "2026-01"],
        ["export", "focus", "--out", "x.csv"],
        ["backfill", "--to", "2026-02-30"],
        ["up", "--port", "web"],
        ["status", "--xml"],
        ["--log-format", "xml", "check"],
        ["remove"],
        ["nonsense"],
    ],
)
def test_unknown_command_is_refused(run_command: RunCommand, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "openai_costs.yaml").write_text(ONE)
    finished = run_command(*command, ACME_KEY=KEY)
    assert (finished.code, finished.out) == (2, "")
    assert len(re.findall("^Error: ", finished.err, re.MULTILINE)) == 1
    assert "Traceback" not in finished.err
    assert_nothing_was_made(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("organizations: [", "line 1: "),
        ("organizations:\n\tacme: {}", "line 2: "),
        (f"{ONE}  acme:\n    admin_key: {{env: OTHER}}", "line 4: duplicate key 'acme'"),
        ("nonsense", "must contain a mapping with the key organizations:"),
        ("", "must contain a mapping with the key organizations:"),
        ("organizations: {}", "organizations is empty"),
        ("organizations:\n  Acme:\n    admin_key: {env: ACME_KEY}", "the name 'Acme' may hold only a-z, 0-9, - and _"),
        ("organizations:\n  a.b:\n    admin_key: {env: ACME_KEY}", "the name 'a.b' may hold only"),
        ("organizations:\n  acme: {}", "line 2: .*'admin_key' is missing"),
        (f"{ONE}    admin_kay: 1", "line 4: .*'admin_kay' is not a setting here"),
        (f"{ONE}    start_date: soon", "line 4: .*start_date.*found 'soon'"),
        (
            f"{ONE}    base_url: api.openai.com/v1",
            "base_url needs a scheme and a host, for example https://api.openai.com/v1",
        ),
        (f"{ONE}    base_url: http://proxy.example/v1", "base_url is plain http to proxy.example"),
        (f"{ONE}    base_url: https://me:hunter2@proxy.example/v1", "base_url must not contain credentials"),
        (
            f"{ONE}    organization_id: org-1\n  beta:\n    admin_key: {{env: BETA_KEY}}\n    organization_id: org-1",
            "'acme' and 'beta' have the same organization_id, and would be counted twice",
        ),
        (
            f"{ONE}  beta:\n    admin_key: {{env: ACME_KEY}}",
            "'acme' and 'beta' use the same admin key, and would be counted twice",
        ),
        (f"{TWO}  be-ta: {{admin_key: {{env: A}}}}\n  be_ta: {{admin_key: {{env: B}}}}", "differ only by - and _"),
        (f"{ONE}refresh: {{cron: daily}}", "'daily' is not a cron expression"),
        (f"{ONE}anomalies: {{sensitivity: extreme}}", "line 4: .*'low', 'medium' or 'high'; found 'extreme'"),
    ],
)
@pytest.mark.parametrize("command", ["check", "backfill"])
def test_invalid_configuration_is_refused(
    run_command: RunCommand, tmp_path: Path, command: str, text: str, words: str
) -> None:
    (tmp_path / "openai_costs.yaml").write_text(text)
    finished = run_command(command, ACME_KEY=KEY, BETA_KEY="sk-admin-other")
    assert_one_sentence(finished, 2, words)
    assert "openai_costs.yaml" in finished.err
    assert "hunter2" not in finished.err
    assert_nothing_was_made(tmp_path)


def test_key_in_the_file_is_refused_and_not_repeated(run_command: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "openai_costs.yaml").write_text(f"organizations:\n  acme:\n    admin_key: {KEY}\n")
    finished = run_command("check")
    assert_one_sentence(finished, 2, "line 3: .*write {env: NAME} or {file: PATH}")
    assert KEY not in finished.err


def test_missing_configuration_is_refused(run_command: RunCommand, tmp_path: Path) -> None:
    assert_one_sentence(run_command("check"), 2, "neither openai_costs.yaml in .* nor OPENAI_ADMIN_KEY")
    elsewhere = str(tmp_path / "elsewhere.yaml")
    assert_one_sentence(
        run_command("check", OPENAI_COSTS_CONFIG=elsewhere), 2, f"OPENAI_COSTS_CONFIG names {elsewhere}, .* not exist"
    )
    assert_nothing_was_made(tmp_path)


def test_folder_as_configuration_is_refused(run_command: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "openai_costs.yaml").mkdir()
    assert_one_sentence(run_command("check"), 2, "openai_costs.yaml cannot be read: Is a directory")


def test_file_as_data_directory_is_refused(run_command: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "openai_costs.yaml").write_text(f"{ONE}data_directory: openai_costs.yaml\n")
    finished = run_command("status", ACME_KEY=KEY)
    assert finished.code in {1, 2}
    assert_one_sentence(finished, finished.code, "openai_costs.yaml")
    assert_nothing_was_made(tmp_path)


def test_two_paths_of_one_key_file_are_refused(run_command: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "acme.key").write_text(KEY)
    (tmp_path / "openai_costs.yaml").write_text(
        "organizations:\n  acme: {admin_key: {file: acme.key}}\n  beta: {admin_key: {file: ./acme.key}}\n"
    )
    assert_one_sentence(run_command("check"), 2, "'acme' and 'beta' use the same admin key")


@pytest.mark.parametrize(
    "command",
    [
        ["backfill"],
        ["status"],
        ["status", "--json"],
        ["env"],
        ["database-url"],
        ["remove", "nobody"],
        ["up"],
        [*EXPORT, "x.csv"],
    ],
    ids=" ".join,
)
def test_unavailable_postgres_is_reported(
    run_command: RunCommand, tmp_path: Path, simulator: RunSimulator, command: list[str]
) -> None:
    api = simulator(SimulatedOrganization())
    finished = run_command(*command, OPENAI_ADMIN_KEY=KEY, OPENAI_BASE_URL=api.base_url, DATABASE_URL=CLOSED)
    assert_one_sentence(finished, 1, r"PostgreSQL at postgresql://someone:\.\.\.@127\.0\.0\.1:1/costs cannot be used")
    assert "hunter2" not in finished.output
    assert api.requests == []
    assert_nothing_was_made(tmp_path)


def test_database_url_of_another_kind_is_refused(run_command: RunCommand, tmp_path: Path) -> None:
    finished = run_command("status", OPENAI_ADMIN_KEY=KEY, DATABASE_URL="mysql://someone:hunter2@127.0.0.1/costs")
    assert_one_sentence(finished, 1, "must look like postgresql://")
    assert "hunter2" not in finished.output
    assert_nothing_was_made(tmp_path)


@pytest.mark.parametrize("command", [["backfill"], ["status"], ["env"], ["remove", "nobody"]], ids=" ".join)
def test_newer_schema_than_the_program_is_refused(
    run_command: RunCommand, database: Database, command: list[str]
) -> None:
    with database.connect() as connection:
        connection.execute("update openai_costs.alembic_version set version_num = '9999'")
        before = everything(connection)
    finished = run_command(*command, OPENAI_ADMIN_KEY=KEY, DATABASE_URL=database.url)
    assert_one_sentence(finished, 1, "revision 9999, which this release does not know: a newer release has migrated it")
    with database.connect() as connection:
        assert everything(connection) == before


class Backfill:
    """Runs a backfill of one organization and asserts that it stores nothing."""

    def __init__(self, run_command: RunCommand, api: Simulator, database: Database) -> None:
        self.api = api
        self._run_command = run_command
        self._database = database

    def __call__(self, *options: str, **environment: str) -> Finished:
        finished = self._run_command("backfill", *options, DATABASE_URL=self._database.url, **environment)
        with self._database.connect() as connection:
            stored = everything(connection)
        assert not any(
            stored[table] for table in ("cost_days", "cost_rows", "raw_buckets", "sync_windows", "refused_groupings")
        )
        return finished


@pytest.fixture
def backfill(
    run_command: RunCommand, simulator: RunSimulator, database: Database, monkeypatch: pytest.MonkeyPatch
) -> Backfill:
    api = simulator(SimulatedOrganization(), clock=utc_now)
    monkeypatch.setenv("OPENAI_ADMIN_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", api.base_url)
    return Backfill(run_command, api, database)


@pytest.mark.parametrize(
    ("prefix", "kind"), [("sk-proj-", "a project key"), ("sk-svcacct-", "a service account's key")]
)
def test_key_of_another_kind_is_refused_before_any_request(backfill: Backfill, prefix: str, kind: str) -> None:
    finished = backfill(OPENAI_ADMIN_KEY=f"{prefix}abcdefghijklmnop")
    assert (finished.code, finished.out) == (1, "")
    assert finished.err == (
        f"default: nothing was read: {prefix}... is {kind}, which cannot read an organization's costs: "
        "create an admin key (organization settings, Admin keys)\n"
    )
    assert backfill.api.requests == []


def test_error_names_an_unset_variable(backfill: Backfill, tmp_path: Path) -> None:
    (tmp_path / "openai_costs.yaml").write_text(
        f"{ONE}    base_url: {backfill.api.base_url}\n    start_date: {days_ago(5)}\n"
        "database: {url: {env: DATABASE_URL}}\n"
    )
    finished = backfill()
    assert (finished.code, finished.out) == (1, "")
    assert finished.err == "acme: nothing was read: the environment variable ACME_KEY is not set\n"
    assert backfill.api.requests == []


def test_error_names_an_unset_database_variable(run_command: RunCommand, tmp_path: Path) -> None:
    (tmp_path / "openai_costs.yaml").write_text(f"{ONE}database: {{url: {{env: COSTS_DATABASE}}}}\n")
    assert_one_sentence(run_command("status", ACME_KEY=KEY), 2, "the environment variable COSTS_DATABASE is not set")
    assert_nothing_was_made(tmp_path)


def test_day_before_the_configured_start_is_refused(backfill: Backfill, tmp_path: Path) -> None:
    (tmp_path / "openai_costs.yaml").write_text(
        f"{ONE}    base_url: {backfill.api.base_url}\n    start_date: {days_ago(5)}\n"
        "database: {url: {env: DATABASE_URL}}\n"
    )
    for options in (["--from", str(days_ago(6))], ["--to", str(days_ago(6))]):
        finished = backfill(*options, ACME_KEY=KEY)
        assert_one_sentence(finished, 2, f"acme: {days_ago(6)} is before {days_ago(5)}, where its history begins")
    assert backfill.api.requests == []


def test_day_not_served_during_onboarding_is_refused(backfill: Backfill) -> None:
    for _ in range(2):
        finished = backfill("--from", str(days_ago(366)))
        assert_one_sentence(
            finished, 2, f"default: {days_ago(366)} is before {days_ago(365)}, where its history begins"
        )
    # Only the first backfill probes the API. Its result is stored for the second one.
    assert len(backfill.api.requests) == 1
