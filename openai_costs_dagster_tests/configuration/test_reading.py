"""Tests of reading valid configuration files."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openai_costs_dagster import configuration
from openai_costs_dagster.configuration import ConfigurationError
from openai_costs_dagster.configuration.secret import SecretReference

from .conftest import ACME, WHOLE, Write


def test_complete_file_is_read(write: Write, tmp_path: Path) -> None:
    read = configuration.read_file(write(WHOLE))
    acme, beta = read.organization("acme"), read.organization("beta")
    assert (acme.name, acme.title, acme.organization_id) == ("acme", "Acme Inc.", "org-ABC123")
    assert acme.start_date == dt.date(2026, 1, 1)
    assert acme.admin_key == SecretReference(env="ACME_OPENAI_ADMIN_KEY")
    assert acme.proxy == SecretReference(env="CORPORATE_PROXY")
    assert [(budget.amount_usd, budget.period) for budget in acme.budgets] == [
        (20000, "month"),
        (Decimal("3000.10"), "month"),
        (400, "quarter"),
    ]
    assert acme.budgets[0].alert_at == (Decimal("0.5"), Decimal("0.8"), Decimal(1))
    assert acme.budgets[1].project == "proj_search"
    assert (beta.title, beta.base_url, beta.start_date) == ("beta", "https://api.openai.com/v1", None)
    assert read.database is not None
    assert read.database.url == SecretReference(env="DATABASE_URL")
    assert (read.refresh.cron, read.refresh.deep_cron) == ("30 1 * * *", "0 4 * * 0")
    assert (read.refresh.trailing_days, read.refresh.settle_hours, read.refresh.deep_trailing_days) == (4, 48, 35)
    assert (read.anomalies.sensitivity, read.anomalies.minimum_impact_usd) == ("medium", Decimal(5))
    assert read.alerts[0].events == ("anomaly", "budget", "sync_failure")
    assert read.retention.raw_pages_days is None
    assert read.source == tmp_path.resolve() / "openai_costs.yaml"


def test_file_with_only_a_key_has_the_default_settings(write: Write) -> None:
    complete = configuration.read_file(write(WHOLE))
    minimal = configuration.read_file(write(ACME))
    assert (minimal.refresh, minimal.anomalies, minimal.retention) == (
        complete.refresh,
        complete.anomalies,
        complete.retention,
    )
    assert (minimal.database, minimal.alerts) == (None, ())


def test_relative_paths_are_relative_to_the_folder_of_the_file(write: Write, tmp_path: Path) -> None:
    read = configuration.read_file(
        write(
            "organizations:\n  acme:\n    admin_key: {file: keys/acme}\n    proxy: {file: keys/proxy}\n"
            "  beta:\n    admin_key: {file: /run/secrets/beta}\n    proxy: http://proxy.example:3128\n"
            "database: {url: {file: keys/database}}\ndata_directory: data\n"
        )
    )
    folder = tmp_path.resolve()
    acme, beta = read.organization("acme"), read.organization("beta")
    assert acme.admin_key == SecretReference(file=folder / "keys/acme")
    assert acme.proxy == SecretReference(file=folder / "keys/proxy")
    assert beta.admin_key == SecretReference(file=Path("/run/secrets/beta"))
    assert beta.proxy == "http://proxy.example:3128"
    assert read.database is not None
    assert read.database.url == SecretReference(file=folder / "keys/database")
    assert read.data_directory == folder / "data"


def test_file_named_relatively_gives_absolute_paths(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ACME)
    monkeypatch.chdir(tmp_path)
    read = configuration.read_file(Path("openai_costs.yaml"))
    assert read.data_directory == tmp_path.resolve() / ".openai-costs"
    assert read.source == tmp_path.resolve() / "openai_costs.yaml"


@pytest.mark.parametrize("name", ["no", "on", "off", "yes", "null", "true", "12_3", "123", "0x1f", "a-b_c"])
def test_names_are_text_if_yaml_parses_another_type(write: Write, name: str) -> None:
    read = configuration.read_file(write(f"organizations:\n  {name}:\n    admin_key: {{env: KEY}}\n"))
    assert list(read.organizations) == [name]
    assert read.organization(name).name == name


def test_same_key_with_another_base_url_is_another_organization(write: Write) -> None:
    read = configuration.read_file(
        write(
            "organizations:\n  a:\n    admin_key: {env: A}\n  b:\n    admin_key: {env: B}\n"
            "  c:\n    admin_key: {env: A}\n    base_url: https://proxy.example/v1\n"
        )
    )
    assert list(read.organizations) == ["a", "b", "c"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/v1", "http://localhost/v1", "http://[::1]:8080/v1"])
def test_plain_http_is_accepted_to_loopback(write: Write, url: str) -> None:
    assert configuration.read_file(write(f"{ACME}    base_url: {url}\n")).organization("acme").base_url == url


def test_plain_http_is_accepted_with_allow_http(write: Write) -> None:
    text = f"{ACME}    base_url: http://gateway.corp/v1\n    allow_http: true\n"
    assert configuration.read_file(write(text)).organization("acme").base_url == "http://gateway.corp/v1"


@pytest.mark.parametrize(
    ("minutes", "cron"),
    [
        (5, "*/5 * * * *"),
        (30, "*/30 * * * *"),
        (60, "0 * * * *"),
        (240, "0 */4 * * *"),
        (720, "0 */12 * * *"),
        (1440, "0 0 * * *"),
        ("null", None),
    ],
)
def test_minutes_become_an_equivalent_cron_expression(write: Write, minutes: int | str, cron: str | None) -> None:
    read = configuration.read_file(write(f"{ACME}refresh: {{intraday_minutes: {minutes}}}\n"))
    assert read.refresh.intraday_cron == cron


@pytest.mark.parametrize("cron", ["* * * * *", "*/15 0-6 1,15 * 1-5", "0 0 * * 7", "59 23 31 12 0", "0 0 29 2 *"])
def test_cron_expression_of_five_fields_is_accepted(write: Write, cron: str) -> None:
    assert configuration.read_file(write(f"{ACME}refresh: {{cron: '{cron}'}}\n")).refresh.cron == cron


def test_byte_order_mark_and_windows_line_ends_are_accepted(write: Write) -> None:
    read = configuration.read_file(write(b"\xef\xbb\xbf" + ACME.replace("\n", "\r\n").encode()))
    assert list(read.organizations) == ["acme"]


def test_unknown_organization_is_refused_with_the_known_ones(write: Write) -> None:
    read = configuration.read_file(write(WHOLE))
    with pytest.raises(ConfigurationError, match="'gamma'; configured: acme, beta"):
        read.organization("gamma")


def test_proxy_is_resolved_from_its_source(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    monkeypatch.setenv("CORPORATE_PROXY", "http://user:password@proxy.example:3128")
    read = configuration.read_file(write(WHOLE))
    assert read.organization("acme").read_proxy() == "http://user:password@proxy.example:3128"
    assert read.organization("beta").read_proxy() is None
    assert "password" not in repr(read)


_LINES = """\
organizations:
  # the parent company
  acme:
    admin_key: {env: A}

    # money
    budgets:
      - {amount_usd: 1}

  # the European one
  beta:
    admin_key: {env: B}
refresh: {trailing_days: 4}
"""


def test_lines_of_an_organization_are_its_removable_lines(write: Write) -> None:
    file = write(_LINES)
    lines = configuration.lines_of_organization(file, "acme")
    assert [number for number, _ in lines] == [3, 4, 5, 6, 7, 8]
    assert lines[0] == (3, "  acme:")
    assert lines[-1] == (8, "      - {amount_usd: 1}")
    assert configuration.lines_of_organization(file, "beta") == [(11, "  beta:"), (12, "    admin_key: {env: B}")]


@pytest.mark.parametrize("name", ["acme", "beta"])
def test_removing_the_lines_of_an_organization_leaves_all_others(write: Write, name: str) -> None:
    file = write(_LINES)
    taken = {number for number, _ in configuration.lines_of_organization(file, name)}
    left = [line for number, line in enumerate(_LINES.splitlines(), 1) if number not in taken]
    read = configuration.read_file(write("\n".join(left)))
    assert set(read.organizations) == {"acme", "beta"} - {name}
    assert read.refresh.trailing_days == 4


@pytest.mark.parametrize(
    "text", ["", "refresh: {}\n", "organizations:\n", "organizations: {}\n", "refresh: {acme: 1}\n", ACME]
)
def test_unknown_organization_has_no_lines(write: Write, text: str) -> None:
    assert configuration.lines_of_organization(write(text), "gamma") == []


def test_configuration_is_immutable(write: Write) -> None:
    refresh: Any = configuration.read_file(write(ACME)).refresh
    with pytest.raises(ValueError, match="frozen"):
        refresh.cron = "* * * * *"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_file_of_a_windows_editor_is_read(write: Write, encoding: str, end: str) -> None:
    text = ACME + "    display_name: \u00c4cme\n"
    file = write(text.replace("\n", end).encode(encoding))
    assert configuration.read_file(file).organization("acme").title == "\u00c4cme"
    assert configuration.lines_of_organization(file, "acme")[-1] == (4, "    display_name: \u00c4cme")


def test_blanks_and_line_breaks_around_a_value_are_removed(write: Write) -> None:
    read = configuration.read_file(
        write(
            "organizations:\n  acme:\n    admin_key: {env: ' ACME_KEY '}\n    organization_id: ' org-A '\n"
            "    base_url: |\n      https://api.example/v1\n    proxy: ' http://proxy.example:3128 '\n"
        )
    )
    acme = read.organization("acme")
    assert (acme.admin_key, acme.organization_id) == (SecretReference(env="ACME_KEY"), "org-A")
    assert (acme.base_url, acme.proxy) == ("https://api.example/v1", "http://proxy.example:3128")


@pytest.mark.parametrize("name", ["a b", "it's", 'q"uote', "100%", "#?&;$`", "back\\slash", "\u00e4\u65e5", "x" * 200])
def test_paths_with_unusual_characters_are_unchanged(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / f"{name}.key").write_text("sk-admin-x", encoding="utf-8")
    (folder / "database.url").write_text("postgresql://host/db", encoding="utf-8")
    file = folder / f"{name}.yaml"
    quoted = json.dumps(f"keys/{name}.key")
    file.write_text(
        f"organizations:\n  acme: {{admin_key: {{file: {quoted}}}}}\ndatabase: {{url: {{file: database.url}}}}\n"
        f"data_directory: {json.dumps(name)}\n",
        encoding="utf-8",
    )
    read = configuration.read_file(file)
    assert read.source == file
    assert read.organization("acme").admin_key.read() == "sk-admin-x"
    assert read.database is not None
    assert read.database.url.read() == "postgresql://host/db"
    assert read.data_directory == (folder / name).resolve()
    assert read.make_folder("logs").is_dir()


def test_data_directory_that_cannot_be_created_is_reported_in_one_sentence(write: Write, tmp_path: Path) -> None:
    read = configuration.read_file(write(ACME + "data_directory: openai_costs.yaml\n"))
    with pytest.raises(
        ConfigurationError, match=r"the folder .*openai_costs\.yaml/logs cannot be created: Not a directory"
    ):
        read.make_folder("logs")
    read = configuration.read_file(write(ACME + f"data_directory: {'x' * 300}\n"))
    with pytest.raises(ConfigurationError, match=r"cannot be created: File name too long"):
        read.make_folder("logs")


def test_data_directory_without_write_permission_is_reported_in_one_sentence(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = configuration.read_file(write(ACME))
    monkeypatch.setattr("os.access", lambda *_: False)  # Tests may run as root, who may write everywhere.
    with pytest.raises(ConfigurationError, match=r"logs is not writable for the current user"):
        read.make_folder("logs")
