"""A configuration is read as it was meant, and every mistake is one sentence that a person can act on."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openai_costs_dagster import configuration
from openai_costs_dagster.configuration import ConfigurationError
from openai_costs_dagster.secret import SecretReference

_LEAK = "DoNotShowThis"
_KEY = f"sk-admin-{_LEAK}"
_ACME = "organizations:\n  acme:\n    admin_key: {env: ACME_KEY}\n"
_WHOLE = """
organizations:
  acme:
    display_name: Acme Inc.
    admin_key: {env: ACME_OPENAI_ADMIN_KEY}
    organization_id: org-ABC123
    base_url: https://api.openai.com/v1
    proxy: {env: CORPORATE_PROXY}
    start_date: 2026-01-01
    budgets:
      - {amount_usd: 20000, period: month, alert_at: [0.5, 0.8, 1.0]}
      - {project: proj_search, amount_usd: 3000.10, period: month}
      - {user: user-4711, amount_usd: 400, period: quarter}
  beta:
    admin_key: {file: /run/secrets/beta}
database: {url: {env: DATABASE_URL}}
data_directory: .openai-costs
refresh: {cron: "30 1 * * *", trailing_days: 4, settle_hours: 48, deep_cron: "0 4 * * 0", intraday_minutes: 60}
anomalies: {sensitivity: medium, minimum_impact_usd: 5}
alerts:
  - {url: {env: SLACK_URL}, events: [anomaly, budget, sync_failure]}
retention: {raw_pages_days: null}
"""

Write = Callable[[str | bytes], Path]
Mistake = Callable[[str | bytes], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes) -> Path:
        file = tmp_path / "openai_costs.yaml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    return write


@pytest.fixture
def mistake(write: Write) -> Mistake:
    """The sentence that a file earns, from where in the file on."""

    def mistake(text: str | bytes) -> str:
        file = write(text)
        with pytest.raises(ConfigurationError) as raised:
            configuration.read_file(file)
        sentence = str(raised.value)
        assert sentence.startswith(str(file))
        assert "\n" not in sentence
        assert "pydantic" not in sentence
        return sentence.removeprefix(str(file)).removeprefix(", ")

    return mistake


def test_the_documented_file_is_read_as_documented(write: Write, tmp_path: Path) -> None:
    read = configuration.read_file(write(_WHOLE))
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


def test_a_key_is_all_that_an_organization_needs(write: Write) -> None:
    spelt_out = configuration.read_file(write(_WHOLE))
    least = configuration.read_file(write(_ACME))
    assert (least.refresh, least.anomalies, least.retention) == (
        spelt_out.refresh,
        spelt_out.anomalies,
        spelt_out.retention,
    )
    assert (least.database, least.alerts) == (None, ())


def test_relative_paths_are_taken_from_the_files_folder(write: Write, tmp_path: Path) -> None:
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


def test_a_file_named_relatively_gives_absolute_paths(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(_ACME)
    monkeypatch.chdir(tmp_path)
    read = configuration.read_file(Path("openai_costs.yaml"))
    assert read.data_directory == tmp_path.resolve() / ".openai-costs"
    assert read.source == tmp_path.resolve() / "openai_costs.yaml"


@pytest.mark.parametrize("name", ["no", "on", "off", "yes", "null", "true", "12_3", "123", "0x1f", "a-b_c"])
def test_names_are_text_even_where_yaml_sees_something_else(write: Write, name: str) -> None:
    read = configuration.read_file(write(f"organizations:\n  {name}:\n    admin_key: {{env: KEY}}\n"))
    assert list(read.organizations) == [name]
    assert read.organization(name).name == name


@pytest.mark.parametrize("name", ["Acme", "a b", "a.b", "1.0", "été", '""', '"a\\n"', "a/b"])
def test_a_name_with_other_characters_is_refused_naming_it_and_those_allowed(mistake: Mistake, name: str) -> None:
    sentence = mistake(f"organizations:\n  {name}:\n    admin_key: {{env: KEY}}\n")
    assert repr(name.strip('"').replace("\\n", "\n")) in sentence
    assert "a-z, 0-9, - and _" in sentence


# What is wrong, the line of it, and what the sentence says beside its path.
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
    "second organization": (f"{_ACME}  acme:\n    admin_key: {{env: B}}\n", 4, ["'acme'", "first in line 2"]),
    "second setting": (f"{_ACME}    admin_key: {{env: B}}\n", 4, ["'admin_key'", "first in line 3"]),
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
    "setting 'name'": (f"{_ACME}    name: Acme\n", 1, ["'name'", "display_name"]),
    "name is a number": (f"{_ACME}    display_name: 12\n", 4, ["display_name", "string", "'12'"]),
    "base_url without scheme": (
        f"{_ACME}    base_url: api.openai.com/v1\n",
        2,
        ["base_url", "'api.openai.com/v1'", "https://"],
    ),
    "base_url of another scheme": (f"{_ACME}    base_url: ftp://api.example/v1\n", 2, ["base_url", "ftp", "https://"]),
    "base_url without host": (f"{_ACME}    base_url: https:///v1\n", 2, ["base_url", "https:///v1"]),
    "base_url with an impossible port": (
        f"{_ACME}    base_url: https://api.example:99999/v1\n",
        2,
        ["base_url", "99999"],
    ),
    "base_url with a broken address": (f'{_ACME}    base_url: "https://[::1/v1"\n', 2, ["base_url"]),
    "base_url with a query": (f"{_ACME}    base_url: https://api.example/v1?a=b\n", 2, ["base_url", "query"]),
    "http beyond loopback": (
        f"{_ACME}    base_url: http://api.example/v1\n",
        2,
        ["base_url", "http to api.example", "https", "allow_http: true"],
    ),
    "allow_http is a word": (f"{_ACME}    allow_http: yes\n", 4, ["allow_http", "boolean", "'yes'"]),
    "proxy without scheme": (
        f"{_ACME}    proxy: proxy.example:3128\n",
        4,
        ["acme.proxy:", "http://proxy.example:3128"],
    ),
    "proxy is a number": (f"{_ACME}    proxy: 3128\n", 4, ["acme.proxy: "]),
    "no date": (f"{_ACME}    start_date: 2026-13-01\n", 4, ["start_date", "'2026-13-01'"]),
    "date without dashes": (f"{_ACME}    start_date: 20260101\n", 4, ["start_date", "20260101"]),
    "owner without a team": (
        f"{_ACME}    dagster_owners: [finops]\n",
        4,
        ["acme.dagster_owners", "team:finops", "'finops'"],
    ),
    "negative budget": (f"{_ACME}    budgets:\n      - {{amount_usd: -1}}\n", 5, ["budgets.0.amount_usd", "0", "'-1'"]),
    "budget in quotes": (f"{_ACME}    budgets:\n      - {{amount_usd: '1'}}\n", 5, ["amount_usd", "number", "'1'"]),
    "budget is a truth": (f"{_ACME}    budgets:\n      - {{amount_usd: true}}\n", 5, ["amount_usd", "number"]),
    "budget is infinite": (
        f"{_ACME}    budgets:\n      - {{amount_usd: .inf}}\n",
        5,
        ["amount_usd", "number", "'.inf'"],
    ),
    "budget without amount": (
        f"{_ACME}    budgets:\n      - {{project: p}}\n",
        5,
        ["budgets.0", "'amount_usd'", "missing"],
    ),
    "two scopes": (
        f"{_ACME}    budgets:\n      - {{amount_usd: 1}}\n      - {{amount_usd: 1, project: p, user: u}}\n",
        6,
        ["budgets.1", "project and user", "one thing"],
    ),
    "unknown period": (
        f"{_ACME}    budgets:\n      - {{amount_usd: 1, period: week}}\n",
        5,
        ["period", "'month'", "'week'"],
    ),
    "alert at nothing": (f"{_ACME}    budgets:\n      - {{amount_usd: 1, alert_at: [0]}}\n", 5, ["alert_at.0", "'0'"]),
    "cron of words": (f"{_ACME}refresh: {{cron: hourly}}\n", 4, ["refresh.cron", "'hourly'", "'30 1 * * *'"]),
    "cron of four fields": (f"{_ACME}refresh: {{deep_cron: '0 4 * *'}}\n", 4, ["refresh.deep_cron", "'0 4 * *'"]),
    "cron beyond the hour": (f"{_ACME}refresh: {{cron: '60 * * * *'}}\n", 4, ["refresh.cron", "'60 * * * *'"]),
    "cron without a step": (f"{_ACME}refresh: {{cron: '*/0 * * * *'}}\n", 4, ["refresh.cron", "'*/0 * * * *'"]),
    "cron of a day that never comes": (
        f"{_ACME}refresh: {{cron: '0 0 31 2 *'}}\n",
        4,
        ["refresh.cron", "'0 0 31 2 *'"],
    ),
    "minutes that do not fit the hour": (
        f"{_ACME}refresh: {{intraday_minutes: 7}}\n",
        4,
        ["intraday_minutes", "'7'", "15"],
    ),
    "minutes that do not fit the day": (
        f"{_ACME}refresh: {{intraday_minutes: 300}}\n",
        4,
        ["intraday_minutes", "'300'"],
    ),
    "minutes of no whole hours": (f"{_ACME}refresh: {{intraday_minutes: 90}}\n", 4, ["intraday_minutes", "'90'"]),
    "too many minutes": (f"{_ACME}refresh: {{intraday_minutes: 1}}\n", 4, ["intraday_minutes", "5", "'1'"]),
    "too few days": (f"{_ACME}refresh: {{trailing_days: 0}}\n", 4, ["refresh.trailing_days", "1", "'0'"]),
    "too many days": (f"{_ACME}refresh: {{trailing_days: 181}}\n", 4, ["refresh.trailing_days", "180", "'181'"]),
    "half a day": (f"{_ACME}refresh: {{trailing_days: 1.5}}\n", 4, ["refresh.trailing_days", "integer", "'1.5'"]),
    "unknown sensitivity": (
        f"{_ACME}anomalies: {{sensitivity: extreme}}\n",
        4,
        ["'low', 'medium' or 'high'", "'extreme'"],
    ),
    "negative impact": (f"{_ACME}anomalies: {{minimum_impact_usd: -5}}\n", 4, ["minimum_impact_usd", "'-5'"]),
    "unknown event": (
        f"{_ACME}alerts:\n  - {{url: {{env: U}}, events: [anomly]}}\n",
        5,
        ["alerts.0.events.0", "'anomaly', 'budget' or 'sync_failure'", "'anomly'"],
    ),
    "alert without address": (
        f"{_ACME}alerts:\n  - {{events: [budget]}}\n",
        5,
        ["alerts.0", "'url'", "missing", "webhook"],
    ),
    "nothing retained": (f"{_ACME}retention: {{raw_pages_days: 0}}\n", 4, ["retention.raw_pages_days", "1", "'0'"]),
    "no yaml": ("organizations: [\n", 2, []),
}


@pytest.mark.parametrize("name", _MISTAKES)
def test_a_mistake_names_its_line_and_path_what_was_found_and_what_is_allowed(mistake: Mistake, name: str) -> None:
    text, line, fragments = _MISTAKES[name]
    sentence = mistake(text)
    assert re.match(rf"line {line}\b", sentence), sentence
    for fragment in fragments:
        assert fragment in sentence


@pytest.mark.parametrize(
    ("text", "line", "found", "allowed"),
    [
        (f"{_ACME}    admin_keys: {{env: B}}\n", 4, "'admin_keys'", "start_date"),
        (f"{_ACME}databases: {{url: {{env: B}}}}\n", 4, "'databases'", "database"),
        (f"{_ACME}refresh: {{crons: '* * * * *'}}\n", 4, "'crons'", "deep_cron"),
        (f"{_ACME}    budgets:\n      - {{amount_usd: 1, projects: p}}\n", 5, "'projects'", "project"),
        ("organizations:\n  acme:\n    admin_key: {environment: KEY}\n", 3, "'environment'", "file"),
    ],
    ids=["organization", "top", "refresh", "budget", "secret"],
)
def test_an_unknown_setting_is_named_with_those_that_there_are(
    mistake: Mistake, text: str, line: int, found: str, allowed: str
) -> None:
    sentence = mistake(text)
    assert re.match(rf"line {line}\b", sentence), sentence
    assert found in sentence
    assert re.search(rf"\b{allowed}\b", sentence.replace(found, ""))


_SECRETS = {
    "key in place of its reference": f"organizations:\n  acme:\n    admin_key: {_KEY}\n",
    "key in a list": f"organizations:\n  acme:\n    admin_key: [{_KEY}]\n",
    "key in another setting": f"organizations:\n  acme:\n    admin_key: {{value: {_KEY}}}\n",
    "key in place of a variable's name": f"organizations:\n  acme:\n    admin_key: {{env: {_KEY}}}\n",
    "key in place of the organization": f"organizations:\n  acme: {_KEY}\n",
    "key in place of all organizations": f"organizations: {_KEY}\n",
    "key in an unknown setting": f"{_ACME}    key: {_KEY}\n",
    "key in the setting beside": f"{_ACME}    start_date: {_KEY}\n",
    "base_url with credentials": f"{_ACME}    base_url: https://user:{_LEAK}@api.example/v1\n",
    "base_url with credentials, no scheme": f"{_ACME}    base_url: user:{_LEAK}@api.example/v1\n",
    "proxy with credentials": f"{_ACME}    proxy: http://user:{_LEAK}@proxy.example:3128\n",
    "proxy with credentials, no scheme": f"{_ACME}    proxy: user:{_LEAK}@proxy.example:3128\n",
    "proxy in another setting": f"{_ACME}    proxy: {{url: 'http://user:{_LEAK}@proxy.example:3128'}}\n",
    "database in place of its settings": f"{_ACME}database: postgresql://user:{_LEAK}@host/db\n",
    "database's address": f"{_ACME}database: {{url: postgresql://user:{_LEAK}@host/db}}\n",
    "alerts in place of a list": f"{_ACME}alerts: https://hooks.example/{_LEAK}\n",
    "alert in place of its settings": f"{_ACME}alerts: [https://hooks.example/{_LEAK}]\n",
    "alert's address": f"{_ACME}alerts:\n  - {{url: https://hooks.example/{_LEAK}}}\n",
}


@pytest.mark.parametrize("text", _SECRETS.values(), ids=_SECRETS)
def test_a_secret_written_into_the_file_is_refused_without_repeating_it(mistake: Mistake, text: str) -> None:
    assert _LEAK not in mistake(text)


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
def test_two_names_for_one_organization_are_refused_naming_both(
    mistake: Mistake, first: str, second: str, why: str
) -> None:
    sentence = mistake(f"organizations:\n  {first}\n  {second}\n")
    assert "'a-b'" in sentence
    assert f"'{second[: second.index(':')]}'" in sentence
    assert why in sentence


def test_organizations_that_are_distinct_may_share_what_does_not_count_double(write: Write) -> None:
    read = configuration.read_file(
        write(
            "organizations:\n  a:\n    admin_key: {env: A}\n  b:\n    admin_key: {env: B}\n"
            "  c:\n    admin_key: {env: A}\n    base_url: https://proxy.example/v1\n"
        )
    )
    assert list(read.organizations) == ["a", "b", "c"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/v1", "http://localhost/v1", "http://[::1]:8080/v1"])
def test_plain_http_is_accepted_to_loopback(write: Write, url: str) -> None:
    assert configuration.read_file(write(f"{_ACME}    base_url: {url}\n")).organization("acme").base_url == url


def test_plain_http_is_accepted_where_the_file_says_so(write: Write) -> None:
    text = f"{_ACME}    base_url: http://gateway.corp/v1\n    allow_http: true\n"
    assert configuration.read_file(write(text)).organization("acme").base_url == "http://gateway.corp/v1"


def test_what_looks_like_loopback_and_is_not_needs_https(mistake: Mistake) -> None:
    for host in ("localhost.example", "127.0.0.1.example", "127.0.0.1@evil.example"):
        assert "line 2" in mistake(f"{_ACME}    base_url: http://{host}/v1\n")


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
def test_minutes_become_the_cron_that_fires_that_often(write: Write, minutes: int | str, cron: str | None) -> None:
    read = configuration.read_file(write(f"{_ACME}refresh: {{intraday_minutes: {minutes}}}\n"))
    assert read.refresh.intraday_cron == cron


@pytest.mark.parametrize("cron", ["* * * * *", "*/15 0-6 1,15 * 1-5", "0 0 * * 7", "59 23 31 12 0", "0 0 29 2 *"])
def test_a_cron_expression_of_five_fields_is_accepted(write: Write, cron: str) -> None:
    assert configuration.read_file(write(f"{_ACME}refresh: {{cron: '{cron}'}}\n")).refresh.cron == cron


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"- a\n", b"text\n", b"12\n"])
def test_a_file_that_is_no_mapping_is_refused_saying_how_it_begins(mistake: Mistake, content: bytes) -> None:
    assert "organizations:" in mistake(content)


def test_a_file_that_is_no_utf_8_is_refused(mistake: Mistake) -> None:
    assert "UTF-8" in mistake(_ACME.encode("utf-16"))


def test_a_byte_order_mark_and_windows_line_ends_are_no_mistake(write: Write) -> None:
    read = configuration.read_file(write(b"\xef\xbb\xbf" + _ACME.replace("\n", "\r\n").encode()))
    assert list(read.organizations) == ["acme"]


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "absent.yaml", "No such file")):
        with pytest.raises(ConfigurationError) as raised:
            configuration.read_file(path)
        assert str(path) in str(raised.value)
        assert why in str(raised.value)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a file, and an environment without a setting."""
    for name in ("OPENAI_COSTS_CONFIG", "OPENAI_ADMIN_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_the_environment_names_the_file(elsewhere: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_COSTS_CONFIG", str(write(_ACME)))
    monkeypatch.setenv("OPENAI_ADMIN_KEY", _KEY)
    (elsewhere / "openai_costs.yaml").write_text(_ACME.replace("acme", "other"), encoding="utf-8")
    assert list(configuration.load().organizations) == ["acme"]


def test_the_working_directorys_file_goes_before_the_environments_key(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", _KEY)
    (elsewhere / "openai_costs.yaml").write_text(_ACME, encoding="utf-8")
    assert list(configuration.load().organizations) == ["acme"]


def test_a_file_that_the_environment_names_and_is_not_there_is_not_replaced_by_another(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_COSTS_CONFIG", "absent.yaml")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", _KEY)
    (elsewhere / "openai_costs.yaml").write_text(_ACME, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"OPENAI_COSTS_CONFIG names absent\.yaml, which does not exist"):
        configuration.load()


@pytest.mark.usefixtures("elsewhere")
def test_a_file_that_a_caller_names_and_is_not_there_is_not_replaced_by_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", _KEY)
    with pytest.raises(ConfigurationError, match=r"absent\.yaml"):
        configuration.load(Path("absent.yaml"))


def test_with_neither_file_nor_key_it_is_said_what_to_do(elsewhere: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        configuration.load()
    for needed in (str(elsewhere), "openai_costs.yaml", "OPENAI_ADMIN_KEY"):
        assert needed in str(raised.value)


def test_a_key_in_the_environment_is_an_organization_named_default(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", _KEY)
    read = configuration.load()
    assert list(read.organizations) == ["default"]
    only = read.organization("default")
    assert only.admin_key.read() == _KEY
    assert (only.base_url, only.organization_id) == ("https://api.openai.com/v1", None)
    assert (read.database, read.source) == (None, None)
    assert read.data_directory == elsewhere.resolve() / ".openai-costs"
    assert _LEAK not in repr(read)


@pytest.mark.usefixtures("elsewhere")
def test_the_keys_companions_in_the_environment_are_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", _KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example/v1")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ABC")
    monkeypatch.setenv("DATABASE_URL", f"postgresql://user:{_LEAK}@host/db")
    read = configuration.load()
    only = read.organization("default")
    assert (only.base_url, only.organization_id) == ("https://proxy.example/v1", "org-ABC")
    assert read.database is not None
    assert read.database.url.read() == f"postgresql://user:{_LEAK}@host/db"
    assert _LEAK not in repr(read)


@pytest.mark.usefixtures("elsewhere")
def test_a_mistake_in_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", _KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://proxy.example/v1")
    with pytest.raises(ConfigurationError, match=r"^the environment: .*base_url is plain http to proxy\.example"):
        configuration.load()


def test_an_unknown_organization_is_answered_with_the_known_ones(write: Write) -> None:
    read = configuration.read_file(write(_WHOLE))
    with pytest.raises(ConfigurationError, match="'gamma'; configured: acme, beta"):
        read.organization("gamma")


def test_a_proxy_is_read_where_it_lies(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    monkeypatch.setenv("CORPORATE_PROXY", "http://user:password@proxy.example:3128")
    read = configuration.read_file(write(_WHOLE))
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


def test_the_lines_of_an_organization_are_those_that_removing_it_takes(write: Write) -> None:
    file = write(_LINES)
    lines = configuration.lines_of_organization(file, "acme")
    assert [number for number, _ in lines] == [3, 4, 5, 6, 7, 8]
    assert lines[0] == (3, "  acme:")
    assert lines[-1] == (8, "      - {amount_usd: 1}")
    assert configuration.lines_of_organization(file, "beta") == [(11, "  beta:"), (12, "    admin_key: {env: B}")]


@pytest.mark.parametrize("name", ["acme", "beta"])
def test_without_its_lines_the_file_is_that_of_the_other_organizations(write: Write, name: str) -> None:
    file = write(_LINES)
    taken = {number for number, _ in configuration.lines_of_organization(file, name)}
    left = [line for number, line in enumerate(_LINES.splitlines(), 1) if number not in taken]
    read = configuration.read_file(write("\n".join(left)))
    assert set(read.organizations) == {"acme", "beta"} - {name}
    assert read.refresh.trailing_days == 4


@pytest.mark.parametrize(
    "text", ["", "refresh: {}\n", "organizations:\n", "organizations: {}\n", "refresh: {acme: 1}\n", _ACME]
)
def test_an_organization_that_the_file_does_not_name_has_no_lines(write: Write, text: str) -> None:
    assert configuration.lines_of_organization(write(text), "gamma") == []


def test_a_configuration_cannot_be_changed_after_it_was_checked(write: Write) -> None:
    refresh: Any = configuration.read_file(write(_ACME)).refresh
    with pytest.raises(ValueError, match="frozen"):
        refresh.cron = "* * * * *"
