"""How things are called in Dagster; one organization's things all carry its name."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from openai_costs_dagster import asset_paths
from openai_costs_dagster.asset_paths import AssetOwner, Prefixed

SHARED_GROUP = "openai_reports"
"""Where the assets across organizations are."""

ORGANIZATION_TAG = "openai-costs/organization"
ASKED_BY_TAG = "openai-costs/asked_by"
NO_RUN_RETRIES = {"dagster/retry_on_asset_or_op_failure": "false"}


def organization_of(key: dg.AssetKey, prefix: Sequence[str]) -> str | None:
    """Whose asset it is; None where it is no organization's."""
    *begin, name, _ = ["", "", *key.path]
    return name if begin == ["", "", *prefix] else None


def assets_of_run(run: dg.DagsterRun) -> set[dg.AssetKey]:
    """The assets that a run materializes or checks."""
    return {check.asset_key for check in run.asset_check_selection or ()} | set(run.asset_selection or ())


def spend_report_key(configuration: Prefixed) -> dg.AssetKey:
    """The asset that is the report's page."""
    return dg.AssetKey(asset_paths.spend_report_path(configuration))


def focus_export_key(configuration: Prefixed) -> dg.AssetKey:
    """The asset that holds the months' FOCUS files."""
    return dg.AssetKey(asset_paths.focus_export_path(configuration))


def costs_key(organization: AssetOwner) -> dg.AssetKey:
    """The asset that holds an organization's daily costs."""
    return dg.AssetKey(asset_paths.costs_path(organization))


def usage_key(organization: AssetOwner) -> dg.AssetKey:
    """The asset that holds what an organization's usage endpoints counted."""
    return dg.AssetKey(asset_paths.usage_path(organization))


def allocated_costs_key(organization: AssetOwner) -> dg.AssetKey:
    """The asset that holds an organization's costs, shared out to users and keys."""
    return dg.AssetKey(asset_paths.allocated_costs_path(organization))


def directory_key(organization: AssetOwner) -> dg.AssetKey:
    """The asset that holds the names of an organization's projects, users and keys."""
    return dg.AssetKey(asset_paths.directory_path(organization))


def group(organization: str) -> str:
    """Dagster's group names accept no hyphen."""
    return organization.replace("-", "_")


def op_name(organization: str, what: str) -> str:
    """The name of an op; nor do those."""
    return f"openai__{group(organization)}__{what}"


def pool(organization: str) -> str:
    """Spares queue slots; the one-reader lock lies in Postgres."""
    return f"openai_{organization}"
