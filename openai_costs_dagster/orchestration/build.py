"""Puts an organization's family together, and all families into one set of definitions; every door uses this."""

from __future__ import annotations

import warnings
from typing import TypedDict

import dagster as dg

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.assets.allocated_costs import allocation_asset
from openai_costs_dagster.orchestration.assets.costs import costs_asset
from openai_costs_dagster.orchestration.assets.directory import directory_asset
from openai_costs_dagster.orchestration.assets.focus_export import focus_asset
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
from openai_costs_dagster.orchestration.partitions import daily_partitions
from openai_costs_dagster.orchestration.partitions import histories as partition_histories
from openai_costs_dagster.orchestration.sensors.alerts import alert_sensor
from openai_costs_dagster.orchestration.sensors.late_days import late_days_sensor
from openai_costs_dagster.orchestration.sharding import WHOLE, Shard

_NO_RANGE_IS_LONGER = 100_000  # days
"""A range is one run either way. Dagster would join two organizations' days in one run where both partitions and
policy are equal, and one organization's failure would then fail the other's run: so no two policies are equal."""


class _Shared(TypedDict):
    """What all partitioned assets of an organization share."""

    partitions: dg.DailyPartitionsDefinition
    backfill_policy: dg.BackfillPolicy


def build_definitions(configuration: Configuration, *, automation: bool = True, shard: Shard = WHOLE) -> dg.Definitions:
    """Everything that the configured organizations, or a part of them, need in Dagster.

    Loads while Postgres is down and without any secret. `automation=False`, here or in the configuration, leaves
    refreshing to the caller, and the sensors for alerts stopped until someone starts them. What all organizations share
    is in the first shard.
    """
    automation = automation and configuration.automation
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=dg.PreviewWarning)  # partitioned checks
        warnings.filterwarnings("ignore", category=dg.BetaWarning)  # backfill policies
        return _build(configuration, shard, automation=automation)


def partitioned_asset_keys(organization: Organization) -> list[dg.AssetKey]:
    """An organization's partitioned assets, which are one run for a range of days."""
    usage = [asset_keys.usage_key(organization)] if organization.usage else []
    return [asset_keys.costs_key(organization), *usage, asset_keys.allocated_costs_key(organization)]


def _checks(
    organization: Organization, configuration: Configuration, partitions: dg.DailyPartitionsDefinition
) -> list[dg.AssetChecksDefinition]:
    """Those that the configuration asks for; costs and allocated costs have one each."""
    wanted, both = configuration.checks, (False, True)
    found: list[dg.AssetChecksDefinition | None] = []
    if asset_paths.ANOMALOUS_SPEND in wanted:
        found += [anomaly_check(organization, configuration, partitions, users=users) for users in both]
    if asset_paths.LATEST_DAY in wanted:
        found.append(latest_day_check(organization, configuration, partitions))
    if asset_paths.BUDGETS in wanted:
        found += [budget_check(organization, configuration, partitions, allocated=allocated) for allocated in both]
    return [check for check in found if check]


def _build(configuration: Configuration, shard: Shard, *, automation: bool) -> dg.Definitions:
    refresh = configuration.refresh
    daily = daily_condition(refresh) if automation else None
    assets: list[dg.AssetsDefinition] = []
    checks: list[dg.AssetChecksDefinition] = []
    shared_out: list[dg.AssetKey] = []
    histories = partition_histories(configuration)
    held = sum(map(shard.contains, range(len(histories))))
    for place, (name, history) in enumerate(histories.items()):
        # One partitions definition and one policy for all assets of an organization: a chain of them is one run.
        policy = dg.BackfillPolicy.multi_run(_NO_RANGE_IS_LONGER + place)
        organization, partitions = configuration.organization(name), daily_partitions(history.first_day)
        shared_out.append(asset_keys.allocated_costs_key(organization))
        if not shard.contains(place):
            continue
        shared: _Shared = {"partitions": partitions, "backfill_policy": policy}
        read = refresh_condition(refresh, history.served_days) if automation else None
        derived = downstream_condition(refresh, history.served_days) if automation else None
        assets.append(costs_asset(organization, configuration, **shared, automation_condition=read))
        if organization.usage:
            assets.append(usage_asset(organization, configuration, **shared, automation_condition=read))
        assets.append(allocation_asset(organization, configuration, **shared, automation_condition=derived))
        if organization.read_names:
            assets.append(directory_asset(organization, configuration, automation_condition=daily))
        checks += _checks(organization, configuration, partitions)
    if shard.is_first:
        first_day = min(history.first_day for history in histories.values())
        monthly = monthly_condition(refresh) if automation else None
        assets.append(focus_asset(configuration, first_day, automation_condition=monthly))
        told = report_condition() if automation else None
        assets.append(report_asset(configuration, shared_out, automation_condition=told))
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        sensors=[
            *([refresh_sensor(configuration, [asset.key for asset in assets], held)] if automation else []),
            *([alert_sensor(configuration, running=automation, shard=shard)] if shard.is_first else []),
            *([late_days_sensor(configuration, running=automation)] if shard.is_first else []),
        ],
        executor=dg.in_process_executor,
    )
