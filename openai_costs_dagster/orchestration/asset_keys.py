"""How things are called in Dagster; one organization's things all carry its name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import dagster as dg

from openai_costs_dagster.configuration import DEFAULT_PREFIX

COMPLETE = "complete"
RECONCILES = "reconciles"
ANOMALOUS_SPEND = "anomalous_spend"
USAGE_MATCHES_BILL = "usage_matches_bill"
BUDGETS = "budgets"
LATEST_DAY = "latest_day"

SHARED_GROUP = "openai_reports"
"""Where the assets across organizations are."""

ORGANIZATION_TAG = "openai-costs/organization"
ASKED_BY_TAG = "openai-costs/asked_by"
NO_RUN_RETRIES = {"dagster/retry_on_asset_or_op_failure": "false"}


class Prefixed(Protocol):
    """What knows how all asset keys begin: a configuration."""

    @property
    def asset_key_prefix(self) -> Sequence[str]:
        """As in ``["openai"]``."""


class Owner(Prefixed, Protocol):
    """Whose assets are meant: an organization."""

    @property
    def name(self) -> str:
        """Its configured name."""


class Named(NamedTuple):
    """An organization by its name alone, whether it is configured or not."""

    name: str
    asset_key_prefix: Sequence[str] = DEFAULT_PREFIX


def assets_of(organization: Owner) -> list[str]:
    """What the keys of an organization's assets begin with."""
    return [*organization.asset_key_prefix, organization.name]


def organization_of(key: dg.AssetKey, prefix: Sequence[str]) -> str | None:
    """Whose asset it is; None where it is no organization's."""
    *begin, name, _ = ["", "", *key.path]
    return name if begin == ["", "", *prefix] else None


def assets_of_run(run: dg.DagsterRun) -> set[dg.AssetKey]:
    """The assets that a run materializes or checks."""
    return {check.asset_key for check in run.asset_check_selection or ()} | set(run.asset_selection or ())


def spend_report_key(configuration: Prefixed) -> dg.AssetKey:
    """The asset that is the report's page."""
    return dg.AssetKey([*configuration.asset_key_prefix, "spend_report"])


def focus_export_key(configuration: Prefixed) -> dg.AssetKey:
    """The asset that holds the months' FOCUS files."""
    return dg.AssetKey([*configuration.asset_key_prefix, "focus_export"])


def costs_key(organization: Owner) -> dg.AssetKey:
    """The asset that holds an organization's daily costs."""
    return dg.AssetKey([*assets_of(organization), "costs"])


def usage_key(organization: Owner) -> dg.AssetKey:
    """The asset that holds what an organization's usage endpoints counted."""
    return dg.AssetKey([*assets_of(organization), "usage"])


def allocated_costs_key(organization: Owner) -> dg.AssetKey:
    """The asset that holds an organization's costs, shared out to users and keys."""
    return dg.AssetKey([*assets_of(organization), "allocated_costs"])


def directory_key(organization: Owner) -> dg.AssetKey:
    """The asset that holds the names of an organization's projects, users and keys."""
    return dg.AssetKey([*assets_of(organization), "directory"])


def asset_page(asset: Sequence[str]) -> str:
    """The path of an asset's page in Dagster."""
    return f"/assets/{'/'.join(asset)}"


def check_page(asset: Sequence[str], check: str, day: dt.date) -> str:
    """The path of a check's page in Dagster; its tab of partitions then opens on the day."""
    return f"{asset_page(asset)}?view=checks&checkDetail={check}&partition={day}"


def group(organization: str) -> str:
    """Dagster's group names accept no hyphen."""
    return organization.replace("-", "_")


def op_name(organization: str, what: str) -> str:
    """The name of an op; nor do those."""
    return f"openai__{group(organization)}__{what}"


def pool(organization: str) -> str:
    """Spares queue slots; the one-reader lock lies in Postgres."""
    return f"openai_{organization}"
