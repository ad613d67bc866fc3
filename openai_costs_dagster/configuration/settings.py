"""What a user can say, as checked records: organizations, database, refreshes, anomalies, alerts, retention.

Secrets stand here by reference only. A mistake raises pydantic's ValidationError, which `configuration` puts into a
sentence.
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
from openai_costs_dagster.redaction import redact

DEFAULT_BASE_URL = "https://api.openai.com/v1"
_MAX_SHARE = 5
_NAME = re.compile(r"[a-z0-9_-]+")
_DAGSTER_OWNER = re.compile(r"team:[A-Za-z0-9_]+|[^\s@:]+@[^\s@]+\.[^\s@]+")
DEFAULT_PREFIX = ("openai",)
_ASSET_KEY_PART = re.compile(r"[A-Za-z0-9_-]+")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class ConfigurationError(Exception):
    """The configuration cannot be used; the text is one sentence a person can act on."""


def _split(url: str) -> SplitResult | None:
    """The parts of a URL, or None where it is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


SIMULATED_MARKER = "simulated-data"
"""The file in a data directory that says that everything in it is simulated."""


OptionalCheck = Literal["anomalous_spend", "budgets", "latest_day"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("an amount of US dollars is a number")
    return value


Dollars = Annotated[Decimal, BeforeValidator(_number), Field(ge=0)]


def _share(value: Decimal) -> Decimal:
    if not 0 < value <= _MAX_SHARE:
        raise ValueError(f"a share of a budget is above 0 and at most {_MAX_SHARE}, as in 0.8 for 80 %")
    return value


Share = Annotated[Decimal, AfterValidator(_share)]


class Budget(_Section):
    """An amount not to be exceeded in a period: of the organization, or of one thing in it."""

    amount_usd: Dollars
    name: str | None = None
    """What people call it; by default what it is for."""
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
            raise ValueError(f"a budget is for one thing; this one names {' and '.join(named)}")
        return self

    @property
    def scope(self) -> tuple[str, str | None]:
        """What it is for: a kind and an id, which is null for the whole organization."""
        for kind in ("project", "user", "model", "api_key", "service"):
            if named := getattr(self, kind):
                return kind, named
        return "organization", None

    @property
    def title(self) -> str:
        """Its name, unique within the organization, as in ``project proj_search, month``."""
        kind, named = self.scope
        return f"{self.name or (f'{kind} {named}' if named else kind)}, {self.period}"


class Organization(_Section):
    """One OpenAI organization and how it is read."""

    name: str
    admin_key: SecretReference
    display_name: str | None = None
    organization_id: str | None = None
    base_url: str = DEFAULT_BASE_URL
    allow_http: StrictBool = False
    proxy: SecretReference | str | None = None
    start_date: dt.date | None = None
    usage: StrictBool = True
    """Whether the usage endpoints are read; without them costs stay where no user was billed unallocated."""
    read_names: StrictBool = True
    """Whether projects, users and keys are read for their names."""
    store_emails: StrictBool = True
    """Whether addresses are kept; without, they are taken out of answers before anything is stored."""
    budgets: tuple[Budget, ...] = ()
    openai_budgets: StrictBool = False
    """Whether OpenAI's own spend limit and spend alerts are read in as budgets."""
    project_alert_urls: dict[str, SecretReference] = {}
    """Who is told of a project's alerts besides everyone else: an Apprise URL by project id."""
    asset_key_prefix: tuple[str, ...] = Field(default=DEFAULT_PREFIX, exclude=True)
    """The configuration's."""
    dagster_owners: tuple[str, ...] = ()
    """Whose assets these are in Dagster: addresses, or teams as in ``team:finops``."""

    @field_validator("budgets")
    @classmethod
    def _budgets_are_distinct(cls, value: tuple[Budget, ...]) -> tuple[Budget, ...]:
        seen: set[str] = set()
        for budget in value:
            if budget.title in seen:
                raise ValueError(f"there are two budgets for {budget.title}: keep one, or give one a name")
            seen.add(budget.title)
        return value

    @field_validator("dagster_owners")
    @classmethod
    def _dagster_owners_are_valid(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for owner in value:
            if not _DAGSTER_OWNER.fullmatch(owner):
                raise ValueError(f"an owner in Dagster is an address or a team, as in team:finops; found {owner!r}")
        return value

    @field_validator("start_date")
    @classmethod
    def _start_is_not_ahead(cls, value: dt.date | None) -> dt.date | None:
        if value and value > utc_now().date():
            raise ValueError(f"start_date lies in the future: today is {utc_now().date()} in UTC")
        return value

    @field_validator("proxy", mode="before")
    @classmethod
    def _proxy_hides_its_credentials(cls, value: Any) -> Any:
        if value is None or isinstance(value, dict | SecretReference):
            return value if not isinstance(value, dict) else SecretReference.model_validate(value)
        value = value.strip() if isinstance(value, str) else value
        parts = _split(value) if isinstance(value, str) else None
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("a proxy is a URL with a scheme and a host, as in http://proxy.example:3128, or a secret")
        if "@" in parts.netloc:
            raise ValueError("a proxy with credentials is a secret: write {env: NAME} or {file: PATH}")
        return value

    @model_validator(mode="after")
    def _base_url_is_safe(self) -> Organization:
        parts, found = _split(self.base_url), redact(self.base_url)
        if "@" in self.base_url:
            raise ValueError("base_url must not carry credentials")
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"base_url needs a scheme and a host, as in {DEFAULT_BASE_URL}; found {found!r}")
        if parts.query or parts.fragment:
            raise ValueError(f"base_url must not carry a query or a fragment; found {found!r}")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not self.allow_http:
            raise ValueError(
                f"base_url is plain http to {parts.hostname}, which would show the admin key to the network: "
                "use https, or say allow_http: true"
            )
        return self

    @property
    def title(self) -> str:
        """The name for people."""
        return self.display_name or self.name

    def read_proxy(self) -> str | None:
        """The proxy's URL, credentials included. Raises SecretUnavailable."""
        return self.proxy.read() if isinstance(self.proxy, SecretReference) else self.proxy


class DatabaseSettings(_Section):
    """A PostgreSQL server of the user's own."""

    url: SecretReference


class Refresh(_Section):
    """When costs are read again; crons are UTC."""

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
            raise ValueError(f"{value!r} is no cron expression of five fields, as in '30 1 * * *'")
        return value

    @field_validator("intraday_minutes")
    @classmethod
    def _divides_the_day(cls, value: int | None) -> int | None:
        if value is not None and (60 % value if value < 60 else (24 * 60) % value or value % 60):
            raise ValueError("minutes must divide an hour, or be whole hours that divide a day: 5, 15, 60, 240 ...")
        return value

    @property
    def intraday_cron(self) -> str | None:
        """The cron expression behind `intraday_minutes`."""
        minutes = self.intraday_minutes
        if minutes is None:
            return None
        if minutes < 60:
            return f"*/{minutes} * * * *"
        return "0 * * * *" if minutes == 60 else f"0 */{minutes // 60} * * *" if minutes < 24 * 60 else "0 0 * * *"


class Anomalies(_Section):
    """What counts as worth someone's time."""

    sensitivity: Literal["low", "medium", "high"] = "medium"
    minimum_impact_usd: Dollars = Decimal(5)


Kind = Literal["anomaly", "budget", "sync_failure"]


PROJECT_CHANNEL_PREFIX = "owner of "


class Alert(_Section):
    """Where alerts go, and which: an Apprise URL, or a webhook that is signed with a secret of its own."""

    url: SecretReference | None = None
    webhook: SecretReference | None = None
    secret: SecretReference | None = None
    name: str | None = None
    events: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("anomaly", "budget", "sync_failure")
    organizations: tuple[str, ...] = ()
    """Empty: all."""
    projects: tuple[str, ...] = ()
    """Ids; empty: all, and what is of no project."""
    minimum_severity: Literal["low", "medium", "high"] = "low"
    """The lowest that is sent."""
    digest: str | None = None
    """Everything in one message at these times (cron, UTC) instead of at once."""

    @field_validator("digest")
    @classmethod
    def _digest_is_a_cron(cls, value: str | None) -> str | None:
        if value is not None and not is_cron(value):
            raise ValueError(f"{value!r} is no cron expression of five fields, as in '0 8 * * *'")
        return value

    @model_validator(mode="after")
    def _has_one_address(self) -> Alert:
        if self.url is None and self.webhook is None:
            raise ValueError("'url' is missing: an alert goes to a url (Apprise) or to a webhook")
        if self.url is not None and self.webhook is not None:
            raise ValueError("an alert goes to a url (Apprise) or to a webhook: write two alerts")
        if (self.webhook is None) != (self.secret is None):
            raise ValueError("a webhook is signed with a secret: write secret: {env: NAME} beside it, and nowhere else")
        return self

    @property
    def channel(self) -> str:
        """What it is called; says where the address stands and never the address."""
        return self.name or str(self.webhook or self.url)


class Retention(_Section):
    """How long raw pages are kept; null: for ever. Rows and revisions stay until purged."""

    raw_pages_days: Annotated[StrictInt, Field(ge=1)] | None = None


class Configuration(_Section):
    """Everything a user says, with relative paths resolved."""

    organizations: dict[str, Organization]
    asset_key_prefix: Annotated[tuple[str, ...], Field(min_length=1)] = DEFAULT_PREFIX
    """What all asset keys in Dagster begin with."""
    checks: tuple[OptionalCheck, ...] = get_args(OptionalCheck)
    """The checks that an organization can do without; the others belong to reading itself."""
    database: DatabaseSettings | None = None
    data_directory: Path = Path(".openai-costs")
    refresh: Refresh = Refresh()
    anomalies: Anomalies = Anomalies()
    alerts: tuple[Alert, ...] = ()
    dagster_url: str | None = None
    """Where people open Dagster, for links in alerts."""
    retention: Retention = Retention()
    heartbeat_url: SecretReference | None = None
    """Requested once a day, when yesterday of every organization has been read completely."""
    automation: StrictBool = True
    """Whether the sensors refresh and alert; `false` leaves both to the user's own schedules."""
    source: Path | None = Field(default=None, exclude=True)

    @property
    def is_simulated(self) -> bool:
        """Whether all data is the demo's: it is marked as simulated wherever it is shown."""
        try:
            return (self.data_directory / SIMULATED_MARKER).exists()
        except OSError:  # a directory that cannot be entered holds no demo; whoever writes to it gets the reason
            return False

    def make_folder(self, name: str, mode: int = 0o777) -> Path:
        """A folder of the data directory, made where it is missing. Raises ConfigurationError if it is not usable."""
        folder = self.data_directory / name
        try:
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"the folder {folder} cannot be made: {error.strerror}") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigurationError(f"the folder {folder} cannot be written to by the user that runs this")
        return folder

    @field_validator("organizations", mode="before")
    @classmethod
    def _names_are_usable(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError("organizations is a list of names with their settings below each")
        named = {}
        for name, settings in value.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"the name {name!r} may hold only a-z, 0-9, - and _")
            if isinstance(settings, Mapping) and "name" in settings:
                raise ValueError(f"{name} has a setting 'name'; write display_name for a name that people read")
            if isinstance(settings, Mapping) and "asset_key_prefix" in settings:
                raise ValueError(f"{name} has a setting 'asset_key_prefix'; it is one for all: write it beside them")
            named[name] = {**settings, "name": name} if isinstance(settings, Mapping) else settings
        return named

    @model_validator(mode="after")
    def _organizations_are_distinct(self) -> Configuration:
        if not self.organizations:
            raise ValueError("organizations is empty: name at least one")
        _reject_duplicates(self.organizations, lambda one: one.name.replace("-", "_"), "differ only by - and _")
        _reject_duplicates(self.organizations, lambda one: one.organization_id, "have the same organization_id")
        _reject_duplicates(self.organizations, lambda one: (str(one.admin_key), one.base_url), "use the same admin key")
        return self

    @field_validator("asset_key_prefix")
    @classmethod
    def _prefix_is_usable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            if not _ASSET_KEY_PART.fullmatch(part):
                raise ValueError(f"{part!r} cannot be part of an asset key: it may hold A-Z, a-z, 0-9, - and _")
        return value

    @model_validator(mode="after")
    def _organizations_share_the_prefix(self) -> Configuration:
        shared = {"asset_key_prefix": self.asset_key_prefix}
        self.organizations.update({name: one.model_copy(update=shared) for name, one in self.organizations.items()})
        return self

    @field_validator("alerts", mode="before")
    @classmethod
    def _alerts_are_a_list(cls, value: Any) -> Any:
        if value is not None and not isinstance(value, list | tuple):
            raise ValueError("alerts is a list: begin each with a dash, as in - {url: {env: SLACK_URL}}")
        return value

    @field_validator("dagster_url")
    @classmethod
    def _dagster_url_is_valid(cls, value: str | None) -> str | None:
        parts = _split(value) if value is not None else None
        if value is not None and (parts is None or parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError("dagster_url needs a scheme and a host, as in https://dagster.example")
        if value is not None and "@" in value:
            raise ValueError("dagster_url must not carry credentials: it is sent to people")
        return value.rstrip("/") if value else None

    @model_validator(mode="after")
    def _alerts_are_distinct(self) -> Configuration:
        seen: set[str] = set()
        for alert in self.alerts:
            if alert.channel.startswith(PROJECT_CHANNEL_PREFIX):
                raise ValueError(f"an alert is called {alert.channel!r}: such names are those of owners of projects")
            if alert.channel in seen:
                raise ValueError(f"two alerts are called {alert.channel!r}: give each a name of its own")
            seen.add(alert.channel)
            for name in alert.organizations:
                if name not in self.organizations:
                    known = ", ".join(sorted(self.organizations))
                    raise ValueError(f"alerts name the organization {name!r}; configured: {known}")
        return self

    def organization(self, name: str) -> Organization:
        """One organization by name. Raises ConfigurationError that lists the names there are."""
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
