"""Paths of assets, names of checks and links to their pages in Dagster, as plain strings. Does not import Dagster.

Every asset of an organization has a path that begins with the key prefix and the organization's name. The package
`orchestration` turns these paths into asset keys (`orchestration/asset_keys.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from openai_costs_dagster.configuration import DEFAULT_PREFIX

# Commands and alerts, which do not import Dagster, also refer to these checks by name.
COMPLETE = "complete"
RECONCILES = "reconciles"
ANOMALOUS_SPEND = "anomalous_spend"
USAGE_MATCHES_BILL = "usage_matches_bill"
BUDGETS = "budgets"
LATEST_DAY = "latest_day"


class Prefixed(Protocol):
    """Anything with an asset key prefix, such as a configuration."""

    @property
    def asset_key_prefix(self) -> Sequence[str]:
        """The parts with which every asset path begins, as in ``["openai"]``."""


class AssetOwner(Prefixed, Protocol):
    """Anything that has assets: an organization, configured or not."""

    @property
    def name(self) -> str:
        """The organization's configured name."""


class OrganizationName(NamedTuple):
    """An organization known by its name only, for example one that is no longer configured."""

    name: str
    asset_key_prefix: Sequence[str] = DEFAULT_PREFIX


def organization_path(organization: AssetOwner) -> list[str]:
    """Return the prefix that the paths of all assets of an organization share."""
    return [*organization.asset_key_prefix, organization.name]


def costs_path(organization: AssetOwner) -> list[str]:
    """Return the path of the asset that holds an organization's daily costs."""
    return [*organization_path(organization), "costs"]


def usage_path(organization: AssetOwner) -> list[str]:
    """Return the path of the asset that holds an organization's daily usage."""
    return [*organization_path(organization), "usage"]


def allocated_costs_path(organization: AssetOwner) -> list[str]:
    """Return the path of the asset that holds an organization's costs, allocated to users and API keys."""
    return [*organization_path(organization), "allocated_costs"]


def directory_path(organization: AssetOwner) -> list[str]:
    """Return the path of the asset that holds the names of an organization's projects, users and API keys."""
    return [*organization_path(organization), "directory"]


def spend_report_path(configuration: Prefixed) -> list[str]:
    """Return the path of the asset that writes the spend report."""
    return [*configuration.asset_key_prefix, "spend_report"]


def focus_export_path(configuration: Prefixed) -> list[str]:
    """Return the path of the asset that writes the monthly FOCUS files."""
    return [*configuration.asset_key_prefix, "focus_export"]


def asset_page(path: Sequence[str]) -> str:
    """Return the path of an asset's page in Dagster's UI, as in ``/assets/openai/acme/costs``."""
    return f"/assets/{'/'.join(path)}"


def check_page(path: Sequence[str], check: str, day: dt.date) -> str:
    """Return the path of a check's page in Dagster's UI; its Partitions tab opens on the UTC day `day`."""
    return f"{asset_page(path)}?view=checks&checkDetail={check}&partition={day}"
