"""Tests of invalid configurations: each error message is one sentence with the remedy and contains no secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from openai_costs_dagster import configuration
from openai_costs_dagster.configuration import ConfigurationError

from .conftest import ACME, KEY, LEAK, Mistake


@pytest.mark.parametrize("name", ["Acme", "a b", "a.b", "1.0", "été", '""', '"a\\n"', "a/b"])
def test_invalid_name_is_refused_with_the_allowed_characters(mistake: Mistake, name: str) -> None:
    message = mistake(f"organizations:\n  {name}:\n    admin_key: {{env: KEY}}\n")
    assert repr(name.strip('"').replace("\\n", "\n")) in message
    assert "a-z, 0-9, - and _" in message


# For each mistake: the text of the file, the reported line, and words of the error message.
_MISTAKES: dict[str, tuple[str, int, list[str]]] = {
    "missing key": (
        "organizations:\n  acme:\n    display_name: x\n",
        2,
        ["organizations.acme", "'admin_key'", "missing"],
    ),
    "no organization": ("organizations: {}\n", 1, ["at least one"]),
    "no organizations": ("refresh: {}\n", 1, ["'organizations'", "missing"]),
    "organizations is a list": ("organizations: [acme]\n", 1, ["organizations"]),
    "organization is empty": ("organizations:\n  acme:\n", 2, ["organizations.acme"]),
    "second organization": (f"{ACME}  acme:\n    admin_key: {{env: B}}\n", 4, ["'acme'", "first in line 2"]),
    "second setting": (f"{ACME}    admin_key: {{env: B}}\n", 4, ["'admin_key'", "first in line 3"]),
    "two places for a secret": (
        "organizations:\n  acme:\n    admin_key: {env: A, file: b}\n",
        3,
        ["organizations.acme.admin_key", "{env: NAME} or {file: PATH}"],
    ),
    "no place for a secret": (
        "organizations:\n  acme:\n    admin_key: {}\n",
        3,
        ["organizations.acme.admin_key", "{env: NAME} or {file: PATH}"],
    ),
    "setting 'name'": (f"{ACME}    name: Acme\n", 1, ["'name'", "display_name"]),
    "name is a number": (f"{ACME}    display_name: 12\n", 4, ["display_name", "string", "'12'"]),
    "base_url without scheme": (
        f"{ACME}    base_url: api.openai.com/v1\n",
        2,
        ["base_url", "'api.openai.com/v1'", "https://"],
    ),
    "base_url of another scheme": (f"{ACME}    base_url: ftp://api.example/v1\n", 2, ["base_url", "ftp", "https://"]),
    "base_url without host": (f"{ACME}    base_url: https:///v1\n", 2, ["base_url", "https:///v1"]),
    "base_url with an impossible port": (
        f"{ACME}    base_url: https://api.example:99999/v1\n",
        2,
        ["base_url", "99999"],
    ),
    "base_url with a broken address": (f'{ACME}    base_url: "https://[::1/v1"\n', 2, ["base_url"]),
    "base_url with a query": (f"{ACME}    base_url: https://api.example/v1?a=b\n", 2, ["base_url", "query"]),
    "http beyond loopback": (
        f"{ACME}    base_url: http://api.example/v1\n",
        2,
        ["base_url", "http to api.example", "https", "allow_http: true"],
    ),
    "allow_http is a word": (f"{ACME}    allow_http: yes\n", 4, ["allow_http", "boolean", "'yes'"]),
    "proxy without scheme": (
        f"{ACME}    proxy: proxy.example:3128\n",
        4,
        ["acme.proxy:", "http://proxy.example:3128"],
    ),
    "proxy is a number": (f"{ACME}    proxy: 3128\n", 4, ["acme.proxy: "]),
    "no date": (f"{ACME}    start_date: 2026-13-01\n", 4, ["start_date", "'2026-13-01'"]),
    "date without dashes": (f"{ACME}    start_date: 20260101\n", 4, ["start_date", "20260101"]),
    "owner without a team": (
        f"{ACME}    dagster_owners: [finops]\n",
        4,
        ["acme.dagster_owners", "team:finops", "'finops'"],
    ),
    "negative budget": (f"{ACME}    budgets:\n      - {{amount_usd: -1}}\n", 5, ["budgets.0.amount_usd", "0", "'-1'"]),
    "budget in quotes": (f"{ACME}    budgets:\n      - {{amount_usd: '1'}}\n", 5, ["amount_usd", "number", "'1'"]),
    "budget is a truth": (f"{ACME}    budgets:\n      - {{amount_usd: true}}\n", 5, ["amount_usd", "number"]),
    "budget is infinite": (
        f"{ACME}    budgets:\n      - {{amount_usd: .inf}}\n",
        5,
        ["amount_usd", "number", "'.inf'"],
    ),
    "budget without amount": (
        f"{ACME}    budgets:\n      - {{project: p}}\n",
        5,
        ["budgets.0", "'amount_usd'", "missing"],
    ),
    "two scopes": (
        f"{ACME}    budgets:\n      - {{amount_usd: 1}}\n      - {{amount_usd: 1, project: p, user: u}}\n",
        6,
        ["budgets.1", "project and user", "one scope"],
    ),
    "unknown period": (
        f"{ACME}    budgets:\n      - {{amount_usd: 1, period: week}}\n",
        5,
        ["period", "'month'", "'week'"],
    ),
    "alert at nothing": (f"{ACME}    budgets:\n      - {{amount_usd: 1, alert_at: [0]}}\n", 5, ["alert_at.0", "'0'"]),
    "cron of words": (f"{ACME}refresh: {{cron: hourly}}\n", 4, ["refresh.cron", "'hourly'", "'30 1 * * *'"]),
    "cron of four fields": (f"{ACME}refresh: {{deep_cron: '0 4 * *'}}\n", 4, ["refresh.deep_cron", "'0 4 * *'"]),
    "cron beyond the hour": (f"{ACME}refresh: {{cron: '60 * * * *'}}\n", 4, ["refresh.cron", "'60 * * * *'"]),
    "cron without a step": (f"{ACME}refresh: {{cron: '*/0 * * * *'}}\n", 4, ["refresh.cron", "'*/0 * * * *'"]),
    "cron of a day that never comes": (
        f"{ACME}refresh: {{cron: '0 0 31 2 *'}}\n",
        4,
        ["refresh.cron", "'0 0 31 2 *'"],
    ),
    "minutes that do not fit the hour": (
        f"{ACME}refresh: {{intraday_minutes: 7}}\n",
        4,
        ["intraday_minutes", "'7'", "15"],
    ),
    "minutes that do not fit the day": (
        f"{ACME}refresh: {{intraday_minutes: 300}}\n",
        4,
        ["intraday_minutes", "'300'"],
    ),
    "minutes of no whole hours": (f"{ACME}refresh: {{intraday_minutes: 90}}\n", 4, ["intraday_minutes", "'90'"]),
    "too many minutes": (f"{ACME}refresh: {{intraday_minutes: 1}}\n", 4, ["intraday_minutes", "5", "'1'"]),
    "too few days": (f"{ACME}refresh: {{trailing_days: 0}}\n", 4, ["refresh.trailing_days", "1", "'0'"]),
    "too many days": (f"{ACME}refresh: {{trailing_days: 181}}\n", 4, ["refresh.trailing_days", "180", "'181'"]),
    "half a day": (f"{ACME}refresh: {{trailing_days: 1.5}}\n", 4, ["refresh.trailing_days", "integer", "'1.5'"]),
    "unknown sensitivity": (
        f"{ACME}anomalies: {{sensitivity: extreme}}\n",
        4,
        ["'low', 'medium' or 'high'", "'extreme'"],
    ),
    "negative impact": (f"{ACME}anomalies: {{minimum_impact_usd: -5}}\n", 4, ["minimum_impact_usd", "'-5'"]),
    "unknown event": (
        f"{ACME}alerts:\n  - {{url: {{env: U}}, events: [anomly]}}\n",
        5,
        ["alerts.0.events.0", "'anomaly', 'budget' or 'sync_failure'", "'anomly'"],
    ),
    "alert without address": (
        f"{ACME}alerts:\n  - {{events: [budget]}}\n",
        5,
        ["alerts.0", "'url'", "missing", "webhook"],
    ),
    "nothing retained": (f"{ACME}retention: {{raw_pages_days: 0}}\n", 4, ["retention.raw_pages_days", "1", "'0'"]),
    "no yaml": ("organizations: [\n", 2, []),
}


@pytest.mark.parametrize("name", _MISTAKES)
def test_error_contains_line_path_value_and_allowed_values(mistake: Mistake, name: str) -> None:
    text, line, fragments = _MISTAKES[name]
    message = mistake(text)
    assert re.match(rf"line {line}\b", message), message
    for fragment in fragments:
        assert fragment in message


@pytest.mark.parametrize(
    ("text", "line", "found", "allowed"),
    [
        (f"{ACME}    admin_keys: {{env: B}}\n", 4, "'admin_keys'", "start_date"),
        (f"{ACME}databases: {{url: {{env: B}}}}\n", 4, "'databases'", "database"),
        (f"{ACME}refresh: {{crons: '* * * * *'}}\n", 4, "'crons'", "deep_cron"),
        (f"{ACME}    budgets:\n      - {{amount_usd: 1, projects: p}}\n", 5, "'projects'", "project"),
        ("organizations:\n  acme:\n    admin_key: {environment: KEY}\n", 3, "'environment'", "file"),
    ],
    ids=["organization", "top", "refresh", "budget", "secret"],
)
def test_unknown_setting_is_refused_with_the_known_settings(
    mistake: Mistake, text: str, line: int, found: str, allowed: str
) -> None:
    message = mistake(text)
    assert re.match(rf"line {line}\b", message), message
    assert found in message
    assert re.search(rf"\b{allowed}\b", message.replace(found, ""))


@pytest.mark.parametrize(
    ("text", "line", "path", "new"),
    [
        (f"{ACME}    names: false\n", 4, "organizations.acme.names", "read_names"),
        (f"{ACME}    emails: false\n", 4, "organizations.acme.emails", "store_emails"),
        (f"{ACME}    owners: {{p: {{env: U}}}}\n", 4, "organizations.acme.owners", "project_alert_urls"),
        (f"{ACME}alerts:\n  - {{url: {{env: U}}, severity: high}}\n", 5, "alerts.0.severity", "minimum_severity"),
    ],
)
def test_renamed_setting_is_refused_with_the_new_name(
    mistake: Mistake, text: str, line: int, path: str, new: str
) -> None:
    old = path.rpartition(".")[2]
    assert mistake(text) == f"line {line}: {path}: {old!r} is now called {new!r}: rename it"


def test_renamed_environment_variable_is_refused_with_the_new_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_COSTS_DAGSTER_URL", "postgresql://user:secret@host/db")
    with pytest.raises(ConfigurationError) as raised:
        configuration.from_mapping({"organizations": {"acme": {"admin_key": {"env": "KEY"}}}}, "test", Path())
    assert str(raised.value) == (
        "the environment variable OPENAI_COSTS_DAGSTER_URL is now called OPENAI_COSTS_DAGSTER_DATABASE_URL: "
        "rename or unset it"
    )


_SECRETS = {
    "key in place of its reference": f"organizations:\n  acme:\n    admin_key: {KEY}\n",
    "key in a list": f"organizations:\n  acme:\n    admin_key: [{KEY}]\n",
    "key in another setting": f"organizations:\n  acme:\n    admin_key: {{value: {KEY}}}\n",
    "key in place of a variable's name": f"organizations:\n  acme:\n    admin_key: {{env: {KEY}}}\n",
    "key in place of the organization": f"organizations:\n  acme: {KEY}\n",
    "key in place of all organizations": f"organizations: {KEY}\n",
    "key in an unknown setting": f"{ACME}    key: {KEY}\n",
    "key in the setting beside": f"{ACME}    start_date: {KEY}\n",
    "base_url with credentials": f"{ACME}    base_url: https://user:{LEAK}@api.example/v1\n",
    "base_url with credentials, no scheme": f"{ACME}    base_url: user:{LEAK}@api.example/v1\n",
    "proxy with credentials": f"{ACME}    proxy: http://user:{LEAK}@proxy.example:3128\n",
    "proxy with credentials, no scheme": f"{ACME}    proxy: user:{LEAK}@proxy.example:3128\n",
    "proxy in another setting": f"{ACME}    proxy: {{url: 'http://user:{LEAK}@proxy.example:3128'}}\n",
    "database in place of its settings": f"{ACME}database: postgresql://user:{LEAK}@host/db\n",
    "database's address": f"{ACME}database: {{url: postgresql://user:{LEAK}@host/db}}\n",
    "alerts in place of a list": f"{ACME}alerts: https://hooks.example/{LEAK}\n",
    "alert in place of its settings": f"{ACME}alerts: [https://hooks.example/{LEAK}]\n",
    "alert's address": f"{ACME}alerts:\n  - {{url: https://hooks.example/{LEAK}}}\n",
}


@pytest.mark.parametrize("text", _SECRETS.values(), ids=_SECRETS)
def test_secret_written_into_the_file_is_refused_without_repeating_it(mistake: Mistake, text: str) -> None:
    assert LEAK not in mistake(text)


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ("a-b:\n    admin_key: {env: A}", "a_b:\n    admin_key: {env: B}", "differ only by - and _"),
        (
            "a-b:\n    admin_key: {env: A}\n    organization_id: org-1",
            "c:\n    admin_key: {env: B}\n    organization_id: org-1",
            "same organization_id",
        ),
        ("a-b:\n    admin_key: {env: A}", "c:\n    admin_key: {env: A}", "same admin key"),
        ("a-b:\n    admin_key: {file: k/a}", "c:\n    admin_key: {file: ./k/a}", "same admin key"),
    ],
)
def test_duplicate_organization_is_refused_with_both_names(mistake: Mistake, first: str, second: str, why: str) -> None:
    message = mistake(f"organizations:\n  {first}\n  {second}\n")
    assert "'a-b'" in message
    assert f"'{second[: second.index(':')]}'" in message
    assert why in message


def test_hosts_that_resemble_loopback_need_https(mistake: Mistake) -> None:
    for host in ("localhost.example", "127.0.0.1.example", "127.0.0.1@evil.example"):
        assert "line 2" in mistake(f"{ACME}    base_url: http://{host}/v1\n")


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"- a\n", b"text\n", b"12\n"])
def test_file_without_a_mapping_is_refused_with_the_required_key(mistake: Mistake, content: bytes) -> None:
    assert "organizations:" in mistake(content)


def test_file_that_is_not_utf_8_is_refused(mistake: Mistake) -> None:
    assert "UTF-8" in mistake(ACME.replace("acme", "ümläut").encode("latin-1"))


def test_unreadable_file_is_named_with_the_reason(tmp_path: Path) -> None:
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "absent.yaml", "No such file")):
        with pytest.raises(ConfigurationError) as raised:
            configuration.read_file(path)
        assert str(path) in str(raised.value)
        assert why in str(raised.value)
