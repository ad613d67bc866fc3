"""Puts an organization's family together, and all families into one set of definitions; every door uses this."""

from __future__ import annotations

import warnings

import dagster as dg

from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.orchestration import names
from openai_costs_dagster.orchestration.anomaly_check import anomaly_check
from openai_costs_dagster.orchestration.automation import refresh_condition, refresh_sensor
from openai_costs_dagster.orchestration.costs_asset import costs_asset
from openai_costs_dagster.orchestration.partitions import daily_partitions, first_days

_NO_RANGE_IS_LONGER = 100_000  # days
"""A range is one run either way. Dagster would join two organizations' days in one run where both partitions and
policy are equal, and one organization's failure would then fail the other's run: so no two policies are equal."""


def build_definitions(configuration: Configuration, *, automation: bool = True) -> dg.Definitions:
    """Everything that the configured organizations need in Dagster.

    Loads while Postgres is down and without any secret. `automation=False` leaves refreshing to the caller.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=dg.PreviewWarning)  # partitioned checks
        warnings.filterwarnings("ignore", category=dg.BetaWarning)  # backfill policies
        return _build(configuration, automation=automation)


def _build(configuration: Configuration, *, automation: bool) -> dg.Definitions:
    condition = refresh_condition(configuration.refresh) if automation else None
    assets, checks = [], []
    for place, (name, first_day) in enumerate(first_days(configuration).items()):
        # One partitions definition and one policy for all assets of an organization: a chain of them is one run.
        policy = dg.BackfillPolicy.multi_run(_NO_RANGE_IS_LONGER + place)
        organization, partitions = configuration.organization(name), daily_partitions(first_day)
        assets.append(
            costs_asset(
                organization,
                configuration,
                partitions=partitions,
                backfill_policy=policy,
                automation_condition=condition,
            )
        )
        checks.append(anomaly_check(organization, configuration, partitions))
    keys = [names.costs_key(name) for name in configuration.organizations]
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        sensors=[refresh_sensor(keys)] if automation else [],
        executor=dg.in_process_executor,
    )
