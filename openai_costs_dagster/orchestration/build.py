"""Builds Dagster's definitions from a configuration: assets, checks and sensors.

Every entry point (`definitions.py`, the component, the command line) calls `build_definitions`. Where to change the
definitions:

- Add an asset: write a factory in `assets/` and call it in `_organization_assets` or `_shared_assets`. CONTRIBUTING.md
  lists all steps under "Add an asset".
- Add a check: write a factory in `checks/` and call it in `_checks`, or add a spec to the asset if the check needs the
  response of OpenAI, as in `assets/costs.py`. CONTRIBUTING.md lists all steps under "Add a check".
- Change when data is refreshed: `automation.py`.
- Change which days an asset has: `partitions.py`.
- Change when a day stops being provisional: `sync/provisional_days.py`, which applies the setting
  `refresh.settle_hours`.
- Change how days are requested and stored: `sync/`.
- Change how days are evaluated: `monitoring/`.
- Change how costs are allocated: `spend/allocation/`.
"""

from __future__ import annotations

import warnings

import dagster as dg

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.assets.allocated_costs import allocation_asset
from openai_costs_dagster.orchestration.assets.costs import costs_asset
from openai_costs_dagster.orchestration.assets.directory import directory_asset
from openai_costs_dagster.orchestration.assets.focus_export import focus_asset
from openai_costs_dagster.orchestration.assets.settings import Partitioning
from openai_costs_dagster.orchestration.assets.spend_report import report_asset
from openai_costs_dagster.orchestration.assets.usage import usage_asset
from openai_costs_dagster.orchestration.automation import (
    daily_condition,
    downstream_condition,
    monthly_condition,
    refresh_condition,
    refresh_sensor,
    report_condition,
)
from openai_costs_dagster.orchestration.checks.anomalous_spend import anomaly_check
from openai_costs_dagster.orchestration.checks.budgets import budget_check
from openai_costs_dagster.orchestration.checks.latest_day import latest_day_check
from openai_costs_dagster.orchestration.partitions import History, daily_partitions, histories
from openai_costs_dagster.orchestration.sensors.alerts import alert_sensor
from openai_costs_dagster.orchestration.sensors.late_days import late_days_sensor
from openai_costs_dagster.orchestration.sharding import WHOLE, Shard

# A limit that exceeds every range of days, so that every backfill of an organization is one run. Each organization adds
# its index to the limit: Dagster would execute two organizations with equal partitions and equal policies in one run,
# and the failure of one organization would fail the other.
_MAX_DAYS_PER_RUN = 100_000


def build_definitions(configuration: Configuration, *, automation: bool = True, shard: Shard = WHOLE) -> dg.Definitions:
    """Return the definitions of all configured organizations, or of the organizations of one shard.

    The definitions load without any secret, and also while Postgres does not respond. With `automation=False` as an
    argument or in the configuration, Dagster refreshes nothing automatically and the sensors are stopped by default.
    The first shard also contains the assets and sensors that all organizations share.
    """
    automation = automation and configuration.automation
    with warnings.catch_warnings():
        # Dagster warns about partitioned checks (a preview feature) and backfill policies (a beta feature), which users
        # cannot change.
        warnings.filterwarnings("ignore", category=dg.PreviewWarning)
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        return _build(configuration, shard, automation=automation)


def partitioned_asset_keys(organization: Organization) -> list[dg.AssetKey]:
    """Return the keys of an organization's partitioned assets, all of which a run over a range of days materializes."""
    usage = [asset_keys.usage_key(organization)] if organization.usage else []
    return [asset_keys.costs_key(organization), *usage, asset_keys.allocated_costs_key(organization)]


def _build(configuration: Configuration, shard: Shard, *, automation: bool) -> dg.Definitions:
    assets: list[dg.AssetsDefinition] = []
    checks: list[dg.AssetChecksDefinition] = []
    history_by_name = histories(configuration)
    in_shard = [name for index, name in enumerate(history_by_name) if shard.contains(index)]
    for index, (name, history) in enumerate(history_by_name.items()):
        if name in in_shard:
            organization = configuration.organization(name)
            partitioning = Partitioning(
                daily_partitions(history.first_day), dg.BackfillPolicy.multi_run(_MAX_DAYS_PER_RUN + index)
            )
            assets += _organization_assets(organization, configuration, history, partitioning, automation=automation)
            checks += _checks(organization, configuration, partitioning.partitions)
    sensors: list[dg.SensorDefinition] = []
    if shard.is_first:
        assets += _shared_assets(configuration, list(history_by_name.values()), automation=automation)
        sensors += [
            alert_sensor(configuration, running=automation, shard=shard),
            late_days_sensor(configuration, running=automation),
        ]
    if automation:
        sensors.append(refresh_sensor(configuration, [asset.key for asset in assets], len(in_shard)))
    return dg.Definitions(assets=assets, asset_checks=checks, sensors=sensors, executor=dg.in_process_executor)


def _organization_assets(
    organization: Organization,
    configuration: Configuration,
    history: History,
    partitioning: Partitioning,
    *,
    automation: bool,
) -> list[dg.AssetsDefinition]:
    refresh = configuration.refresh
    on_refresh = refresh_condition(refresh, history.served_days) if automation else None
    after_upstream = downstream_condition(refresh, history.served_days) if automation else None
    daily = daily_condition(refresh) if automation else None
    assets = [
        costs_asset(organization, configuration, partitioning=partitioning, automation_condition=on_refresh),
        allocation_asset(organization, configuration, partitioning=partitioning, automation_condition=after_upstream),
    ]
    if organization.usage:
        assets.append(
            usage_asset(organization, configuration, partitioning=partitioning, automation_condition=on_refresh)
        )
    if organization.read_names:
        assets.append(directory_asset(organization, configuration, automation_condition=daily))
    return assets


def _checks(
    organization: Organization, configuration: Configuration, partitions: dg.DailyPartitionsDefinition
) -> list[dg.AssetChecksDefinition]:
    """Return the enabled checks of an organization, on its costs and on its allocated costs."""
    enabled = configuration.checks
    checks: list[dg.AssetChecksDefinition | None] = []
    if asset_paths.ANOMALOUS_SPEND in enabled:
        checks += [anomaly_check(organization, configuration, partitions, users=users) for users in (False, True)]
    if asset_paths.LATEST_DAY in enabled:
        checks.append(latest_day_check(organization, configuration, partitions))
    if asset_paths.BUDGETS in enabled:
        checks += [
            budget_check(organization, configuration, partitions, allocated=allocated) for allocated in (False, True)
        ]
    return [check for check in checks if check]


def _shared_assets(
    configuration: Configuration, all_histories: list[History], *, automation: bool
) -> list[dg.AssetsDefinition]:
    first_day = min(history.first_day for history in all_histories)
    monthly = monthly_condition(configuration.refresh) if automation else None
    after_refreshes = report_condition() if automation else None
    upstream = [asset_keys.allocated_costs_key(organization) for organization in configuration.organizations.values()]
    return [
        focus_asset(configuration, first_day, automation_condition=monthly),
        report_asset(configuration, upstream, automation_condition=after_refreshes),
    ]
