"""Names of the objects that Dagster knows: asset keys, groups, ops, sensors, pools and tags.

Asset keys are built from the paths in `asset_paths.py`, which commands use without importing Dagster.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import dagster as dg

from openai_costs_dagster import asset_paths
from openai_costs_dagster.asset_paths import AssetOwner, Prefixed

SHARED_GROUP = "openai_reports"
"""The asset group of the spend report and the FOCUS export, which cover all organizations."""

ORGANIZATION_TAG = "openai-costs/organization"
TRIGGER_TAG = "openai-costs/trigger"
NOT_STARTED = "not_started"
"""The metadata entry of a day that has not begun according to the clock of OpenAI's server, because the local clock is
ahead.
"""
# The argument `allow_retries=False` of a `dagster.Failure` only prevents retries of the step. Without this tag, Dagster
# would still retry the whole run.
NO_RUN_RETRIES = {"dagster/retry_on_asset_or_op_failure": "false"}


def organization_of(key: dg.AssetKey, prefix: Sequence[str]) -> str | None:
    """Return the name of the organization that owns an asset, or None for an asset that covers all organizations."""
    *first_parts, name, _ = ["", "", *key.path]
    # The empty strings stand for the prefix and the organization, so that unpacking also works for a key of one part.
    return name if first_parts == ["", "", *prefix] else None


def assets_of_run(run: dg.DagsterRun) -> set[dg.AssetKey]:
    """Return the keys of the assets that a run materializes or whose checks it executes."""
    return {check.asset_key for check in run.asset_check_selection or ()} | set(run.asset_selection or ())


def spend_report_key(configuration: Prefixed) -> dg.AssetKey:
    """Return the key of the asset that writes the spend report."""
    return dg.AssetKey(asset_paths.spend_report_path(configuration))


def focus_export_key(configuration: Prefixed) -> dg.AssetKey:
    """Return the key of the asset that writes the monthly FOCUS files."""
    return dg.AssetKey(asset_paths.focus_export_path(configuration))


def costs_key(organization: AssetOwner) -> dg.AssetKey:
    """Return the key of the asset that holds an organization's daily costs."""
    return dg.AssetKey(asset_paths.costs_path(organization))


def usage_key(organization: AssetOwner) -> dg.AssetKey:
    """Return the key of the asset that holds an organization's daily usage."""
    return dg.AssetKey(asset_paths.usage_path(organization))


def allocated_costs_key(organization: AssetOwner) -> dg.AssetKey:
    """Return the key of the asset that holds an organization's costs, allocated to users and API keys."""
    return dg.AssetKey(asset_paths.allocated_costs_path(organization))


def directory_key(organization: AssetOwner) -> dg.AssetKey:
    """Return the key of the asset that holds the names of an organization's projects, users and API keys."""
    return dg.AssetKey(asset_paths.directory_path(organization))


def group(organization: str) -> str:
    """Return the asset group of an organization. Dagster does not accept hyphens in group names."""
    return organization.replace("-", "_")


def op_name(organization: AssetOwner, suffix: str) -> str:
    """Return a name for an op of an organization, as in ``openai__acme__budgets``.

    The name contains the asset key prefix, because Dagster accepts each op name only once per code location.
    """
    return "__".join(map(_identifier, [*asset_paths.organization_path(organization), suffix]))


def refresh_sensor_name(configuration: Prefixed) -> str:
    """Return the name of the sensor that requests refreshes, ``openai_costs_refresh`` with the default prefix."""
    return _sensor_name(configuration, "refresh")


def alert_sensor_name(configuration: Prefixed) -> str:
    """Return the name of the sensor that sends alerts, ``openai_costs_alerts`` with the default prefix."""
    return _sensor_name(configuration, "alerts")


def late_days_sensor_name(configuration: Prefixed) -> str:
    """Return the name of the sensor that reports late days, ``openai_costs_late_days`` with the default prefix."""
    return _sensor_name(configuration, "late_days")


def pool(organization: str) -> str:
    """Return the name of the concurrency pool that all assets of an organization share.

    The pool makes runs of a busy organization wait without taking a place from runs of other organizations. A lock in
    Postgres, and not the pool, ensures that only one process at a time synchronizes an organization.
    """
    return f"openai_{organization}"


def _sensor_name(configuration: Prefixed, suffix: str) -> str:
    """Return the sensor name with the asset key prefix, so that two instances of the component in one project do not
    collide.
    """
    return "_".join([*map(_identifier, configuration.asset_key_prefix), "costs", suffix])


def _identifier(text: str) -> str:
    """Replace each character that Dagster does not accept in names of ops and sensors by an underscore."""
    return re.sub(r"\W", "_", text, flags=re.ASCII)
