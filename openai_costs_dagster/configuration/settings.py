"""Validated settings of `openai_costs.yaml`: organizations, database, refreshes, anomalies, alerts and retention.

Secrets are stored as references only. An invalid value raises pydantic's ValidationError, which `loading` turns into a
message with file and line. docs/configuration.md documents every setting.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    field_validator,
    model_validator,
)

from openai_costs_dagster.configuration.cron import is_cron
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.file_errors import reason
from openai_costs_dagster.host_names import LOOPBACK_HOSTS, canonical_host
from openai_costs_dagster.private_files import make_data_directory, make_private_folder
from openai_costs_dagster.redaction import redact

DEFAULT_BASE_URL = "https://api.openai.com/v1"
_MAX_SHARE = 5
_NAME = re.compile(r"[a-z0-9_-]+")
_DAGSTER_OWNER = re.compile(r"team:[A-Za-z0-9_]+|[^\s@:]+@[^\s@]+\.[^\s@]+")
DEFAULT_PREFIX = ("openai",)
_ASSET_KEY_PART = re.compile(r"[A-Za-z0-9_-]+")


class ConfigurationError(Exception):
    """An invalid configuration. The text is one message with the remedy."""


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL, or None if the text is not a valid URL."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # Reading the port raises ValueError if the port is invalid.
    except ValueError:
        return None
    return parts


SIMULATED_MARKER = "simulated-data"
"""The name of the file that marks a data directory whose data are simulated."""


OptionalCheck = Literal["anomalous_spend", "budgets", "latest_day"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


def _number(value: Any) -> Any:
    # In Python, `bool` is a subclass of `int`, so `true` would count as one dollar.
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("an amount of US dollars must be a number")
    return value


Dollars = Annotated[Decimal, BeforeValidator(_number), Field(ge=0)]


def _share(value: Decimal) -> Decimal:
    if not 0 < value <= _MAX_SHARE:
        raise ValueError(f"a share of a budget must be above 0 and at most {_MAX_SHARE}, for example 0.8 for 80 %")
    return value


Share = Annotated[Decimal, AfterValidator(_share)]


class Budget(_Section):
    """A spending limit for a period, for the whole organization or one project, user, model, API key or service."""

    amount_usd: Dollars
    name: str | None = None
    """The name that people read; by default the scope."""
    period: Literal["month", "quarter", "year"] = "month"
    alert_at: Annotated[tuple[Share, ...], Field(min_length=1)] = (Decimal("0.5"), Decimal("0.8"), Decimal(1))
    project: str | None = None
    user: str | None = None
    model: str | None = None
    api_key: str | None = None
    service: str | None = None

    @model_validator(mode="after")
    def _has_one_scope(self) -> Budget:
        named = [scope for scope in ("project", "user", "model", "api_key", "service") if getattr(self, scope)]
        if len(named) > 1:
            raise ValueError(
                f"a budget has one scope, but this one names {' and '.join(named)}: write one budget for each"
            )
        return self

    @property
    def scope(self) -> tuple[str, str | None]:
        """The kind of the budget's scope and the id of the scoped object; the id is None for the whole organization."""
        for kind in ("project", "user", "model", "api_key", "service"):
            if named := getattr(self, kind):
                return kind, named
        return "organization", None

    @property
    def title(self) -> str:
        """The name with the period, unique within the organization, for example ``project proj_search, month``."""
        kind, named = self.scope
        return f"{self.name or (f'{kind} {named}' if named else kind)}, {self.period}"


class Organization(_Section):
    """An OpenAI organization and the settings for reading it."""

    name: str
    admin_key: SecretReference
    display_name: str | None = None
    organization_id: str | None = None
    base_url: str = DEFAULT_BASE_URL
    allow_http: StrictBool = False
    proxy: SecretReference | str | None = None
    start_date: dt.date | None = None
    usage: StrictBool = True
    """Whether usage is read. Without usage, only costs that OpenAI bills by user are allocated to users."""
    read_names: StrictBool = True
    """Whether the names of projects, users and API keys are read."""
    store_emails: StrictBool = True
    """Whether email addresses are stored. If not, they are removed from responses before anything is stored."""
    budgets: tuple[Budget, ...] = ()
    openai_budgets: StrictBool = False
    """Whether the spend limit and spend alerts configured at OpenAI are read as budgets."""
    project_alert_urls: dict[str, SecretReference] = {}
    """Additional channels for the alerts of single projects: an Apprise URL by project id."""
    asset_key_prefix: tuple[str, ...] = Field(default=DEFAULT_PREFIX, exclude=True)
    """A copy of `Configuration.asset_key_prefix`."""
    dagster_owners: tuple[str, ...] = ()
    """Owners of the assets in Dagster: email addresses, or teams as in ``team:finops``."""

    @field_validator("budgets")
    @classmethod
    def _budgets_are_distinct(cls, value: tuple[Budget, ...]) -> tuple[Budget, ...]:
        seen: set[str] = set()
        for budget in value:
            if budget.title in seen:
                raise ValueError(f"there are two budgets for {budget.title}: keep one, or give one of them a name")
            seen.add(budget.title)
        return value

    @field_validator("dagster_owners")
    @classmethod
    def _dagster_owners_are_valid(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for owner in value:
            if not _DAGSTER_OWNER.fullmatch(owner):
                raise ValueError(
                    f"an owner in Dagster must be an email address or a team, for example team:finops; found {owner!r}"
                )
        return value

    @field_validator("start_date")
    @classmethod
    def _start_is_not_ahead(cls, value: dt.date | None) -> dt.date | None:
        if value and value > utc_now().date():
            raise ValueError(f"start_date is in the future: today is {utc_now().date()} in UTC")
        return value

    @field_validator("proxy", mode="before")
    @classmethod
    def _proxy_hides_its_credentials(cls, value: Any) -> Any:
        if value is None or isinstance(value, dict | SecretReference):
            return value if not isinstance(value, dict) else SecretReference.model_validate(value)
        value = value.strip() if isinstance(value, str) else value
        parts = _split(value) if isinstance(value, str) else None
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(
                "a proxy must be a URL with scheme and host, for example http://proxy.example:3128, or a secret"
            )
        if "@" in parts.netloc:
            raise ValueError("a proxy URL with credentials is a secret: write {env: NAME} or {file: PATH}")
        return value

    @model_validator(mode="after")
    def _base_url_is_safe(self) -> Organization:
        parts, found = _split(self.base_url), redact(self.base_url)
        if "@" in self.base_url:
            raise ValueError("base_url must not contain credentials")
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"base_url needs a scheme and a host, for example {DEFAULT_BASE_URL}; found {found!r}")
        if parts.query or parts.fragment:
            raise ValueError(f"base_url must not contain a query or a fragment; found {found!r}")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS and not self.allow_http:
            raise ValueError(
                f"base_url is plain http to {parts.hostname}, which would expose the admin key to the network: "
                "use https, or set allow_http: true"
            )
        return self

    @property
    def title(self) -> str:
        """The display name, or the configured name without one."""
        return self.display_name or self.name

    def read_proxy(self) -> str | None:
        """Return the proxy URL including credentials. Raises `SecretUnavailable`."""
        return self.proxy.read() if isinstance(self.proxy, SecretReference) else self.proxy


class DatabaseSettings(_Section):
    """The user's own PostgreSQL server, instead of the embedded one."""

    url: SecretReference


class Refresh(_Section):
    """Schedules of the refreshes. Cron expressions are evaluated in UTC."""

    cron: str = "30 1 * * *"
    trailing_days: Annotated[StrictInt, Field(ge=1, le=180)] = 4
    settle_hours: Annotated[StrictInt, Field(ge=0, le=24 * 30)] = 48
    deep_cron: str = "0 4 * * 0"
    deep_trailing_days: Annotated[StrictInt, Field(ge=1, le=360)] = 35
    intraday_minutes: Annotated[StrictInt, Field(ge=5, le=24 * 60)] | None = 60

    @field_validator("cron", "deep_cron")
    @classmethod
    def _cron_is_valid(cls, value: str) -> str:
        if not is_cron(value):
            raise ValueError(f"{value!r} is not a cron expression with five numeric fields, for example '30 1 * * *'")
        return value

    @field_validator("intraday_minutes")
    @classmethod
    def _divides_the_day(cls, value: int | None) -> int | None:
        # A cron expression starts again with every hour and every day, so other intervals would be uneven.
        if value is not None and (60 % value if value < 60 else (24 * 60) % value or value % 60):
            raise ValueError(
                "minutes must divide an hour, or be whole hours that divide a day, for example 5, 15, 60 or 240"
            )
        return value

    @property
    def intraday_cron(self) -> str | None:
        """The cron expression that corresponds to `intraday_minutes`, or None without intraday refreshes."""
        minutes = self.intraday_minutes
        if minutes is None:
            return None
        if minutes < 60:
            return f"*/{minutes} * * * *"
        return "0 * * * *" if minutes == 60 else f"0 */{minutes // 60} * * *" if minutes < 24 * 60 else "0 0 * * *"


class Anomalies(_Section):
    """Thresholds of anomaly detection."""

    sensitivity: Literal["low", "medium", "high"] = "medium"
    minimum_impact_usd: Dollars = Decimal(5)


Kind = Literal["anomaly", "budget", "sync_failure"]


PROJECT_CHANNEL_PREFIX = "owner of "


class Alert(_Section):
    """A channel and its filters: an Apprise URL, or a webhook whose requests are signed with its own secret."""

    url: SecretReference | None = None
    webhook: SecretReference | None = None
    secret: SecretReference | None = None
    name: str | None = None
    events: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("anomaly", "budget", "sync_failure")
    organizations: tuple[str, ...] = ()
    """Names of the organizations whose alerts are sent; empty for all."""
    projects: tuple[str, ...] = ()
    """Ids of the projects whose alerts are sent; empty for all alerts, including those without a project."""
    minimum_severity: Literal["low", "medium", "high"] = "low"
    """The lowest severity that is sent."""
    digest: str | None = None
    """A cron expression (UTC). At its ticks all alerts are sent in one message, instead of immediately."""

    @field_validator("digest")
    @classmethod
    def _digest_is_a_cron(cls, value: str | None) -> str | None:
        if value is not None and not is_cron(value):
            raise ValueError(f"{value!r} is not a cron expression with five numeric fields, for example '0 8 * * *'")
        return value

    @model_validator(mode="after")
    def _has_one_address(self) -> Alert:
        if self.url is None and self.webhook is None:
            raise ValueError("'url' is missing: an alert needs either a url (Apprise) or a webhook")
        if self.url is not None and self.webhook is not None:
            raise ValueError("an alert has both a url (Apprise) and a webhook: write two alerts")
        if (self.webhook is None) != (self.secret is None):
            raise ValueError(
                "a webhook needs a secret, and only a webhook has one: write secret: {env: NAME} next to webhook"
            )
        return self

    @property
    def channel(self) -> str:
        """The name of the channel: `name`, or the reference to the secret that holds the URL."""
        return self.name or str(self.webhook or self.url)


class Retention(_Section):
    """Retention of raw response pages in days; None keeps them forever. Rows and revisions stay until purged."""

    raw_pages_days: Annotated[StrictInt, Field(ge=1)] | None = None


class Configuration(_Section):
    """All settings, with relative paths resolved."""

    organizations: dict[str, Organization]
    asset_key_prefix: Annotated[tuple[str, ...], Field(min_length=1)] = DEFAULT_PREFIX
    """The prefix of all asset keys in Dagster."""
    checks: tuple[OptionalCheck, ...] = get_args(OptionalCheck)
    """The optional asset checks that are defined; all other checks are always defined."""
    database: DatabaseSettings | None = None
    data_directory: Path = Path(".openai-costs")
    refresh: Refresh = Refresh()
    anomalies: Anomalies = Anomalies()
    alerts: tuple[Alert, ...] = ()
    dagster_url: str | None = None
    """The web address of Dagster's UI, for links in alerts and reports; under `openai-costs up` its own address."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names by which browsers may reach the UI of `openai-costs up`, in addition to the loopback names."""
    retention: Retention = Retention()
    heartbeat_url: SecretReference | None = None
    """A URL that is requested once a day, after yesterday was read completely for every organization."""
    automation: StrictBool = True
    """Whether the sensors refresh and send alerts; `false` leaves both to the user's own schedules."""
    source: Path | None = Field(default=None, exclude=True)

    @property
    def is_simulated(self) -> bool:
        """Whether the data directory belongs to the demo, so that every output is marked as simulated."""
        try:
            return (self.data_directory / SIMULATED_MARKER).exists()
        except OSError:  # an unreadable directory counts as no demo; the first write to the directory raises the error
            return False

    def make_folder(self, name: str) -> Path:
        """Return a folder of the data directory, creating it if necessary, readable only by its owner.

        Raises `ConfigurationError` on failure.
        """
        folder = self.data_directory / name
        try:
            make_data_directory(self.data_directory)
            make_private_folder(folder)
        except OSError as error:
            raise ConfigurationError(f"the folder {folder} cannot be created: {reason(error)}") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigurationError(f"the folder {folder} is not writable for the current user")
        return folder

    @field_validator("organizations", mode="before")
    @classmethod
    def _names_are_usable(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError("organizations must map each name to its settings")
        named = {}
        for name, settings in value.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"the name {name!r} may hold only a-z, 0-9, - and _")
            if isinstance(settings, Mapping) and "name" in settings:
                raise ValueError(f"{name} has a setting 'name': use display_name for the name that people read")
            if isinstance(settings, Mapping) and "asset_key_prefix" in settings:
                raise ValueError(
                    f"{name} has a setting 'asset_key_prefix', which applies to all: move it to the top level"
                )
            named[name] = {**settings, "name": name} if isinstance(settings, Mapping) else settings
        return named

    @model_validator(mode="after")
    def _organizations_are_distinct(self) -> Configuration:
        if not self.organizations:
            raise ValueError("organizations is empty: configure at least one")
        # Group names of Dagster contain no hyphens, so both names would become the same group.
        _reject_duplicates(self.organizations, lambda one: one.name.replace("-", "_"), "differ only by - and _")
        _reject_duplicates(self.organizations, lambda one: one.organization_id, "have the same organization_id")
        _reject_duplicates(self.organizations, lambda one: (str(one.admin_key), one.base_url), "use the same admin key")
        return self

    @field_validator("asset_key_prefix")
    @classmethod
    def _prefix_is_usable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            if not _ASSET_KEY_PART.fullmatch(part):
                raise ValueError(f"{part!r} cannot be part of an asset key: only A-Z, a-z, 0-9, - and _ are allowed")
        return value

    @model_validator(mode="after")
    def _organizations_share_the_prefix(self) -> Configuration:
        # The model is frozen, so the organizations are replaced inside the mapping.
        shared = {"asset_key_prefix": self.asset_key_prefix}
        self.organizations.update({name: one.model_copy(update=shared) for name, one in self.organizations.items()})
        return self

    @field_validator("alerts", mode="before")
    @classmethod
    def _alerts_are_a_list(cls, value: Any) -> Any:
        if value is not None and not isinstance(value, list | tuple):
            raise ValueError(
                "alerts must be a list: begin each item with a dash, for example - {url: {env: SLACK_URL}}"
            )
        return value

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _allowed_hosts_are_a_list(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise ValueError("allowed_hosts must be a list, for example [costs.example]")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _allowed_hosts_are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if canonical_host(host) is None:
                raise ValueError(
                    "an allowed host is a name or an IP address without scheme, port and wildcard, "
                    f"for example costs.example; found {host!r}"
                )
        return value

    @field_validator("dagster_url")
    @classmethod
    def _dagster_url_is_valid(cls, value: str | None) -> str | None:
        parts = _split(value) if value is not None else None
        if value is not None and (parts is None or parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("dagster_url needs a scheme and a host, for example https://dagster.example")
        if value is not None and "@" in value:
            raise ValueError("dagster_url must not contain credentials: alerts contain this address")
        return value.rstrip("/") if value else None

    @model_validator(mode="after")
    def _alerts_are_distinct(self) -> Configuration:
        seen: set[str] = set()
        for alert in self.alerts:
            if alert.channel.startswith(PROJECT_CHANNEL_PREFIX):
                raise ValueError(f"the name {alert.channel!r} is reserved for project_alert_urls: choose another name")
            if alert.channel in seen:
                raise ValueError(f"two alerts are named {alert.channel!r}: give each its own name")
            seen.add(alert.channel)
            for name in alert.organizations:
                if name not in self.organizations:
                    known = ", ".join(sorted(self.organizations))
                    raise ValueError(f"an alert names the unknown organization {name!r}; configured: {known}")
        return self

    def organization(self, name: str) -> Organization:
        """Return an organization by name. Raises `ConfigurationError`, which lists the configured names."""
        try:
            return self.organizations[name]
        except KeyError:
            known = ", ".join(sorted(self.organizations))
            raise ConfigurationError(f"there is no organization {name!r}; configured: {known}") from None


def _reject_duplicates(organizations: Mapping[str, Organization], key: Any, why: str) -> None:
    seen: dict[Any, str] = {}
    for name, organization in organizations.items():
        value = key(organization)
        if value is None:
            continue
        if value in seen:
            raise ValueError(f"the organizations {seen[value]!r} and {name!r} {why}, and would be counted twice")
        seen[value] = name
