"""The check `latest_day`: warns about each day that is missing although its daily refresh should have stored it."""

# This module omits `from __future__ import annotations`, because Dagster evaluates the annotation of `context` and
# cannot resolve a string annotation of a nested function.
from collections.abc import Iterator
from typing import Any

import dagster as dg

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.days import DayRange, utc_now
from openai_costs_dagster.monitoring import late_days
from openai_costs_dagster.orchestration import asset_keys, database_access
from openai_costs_dagster.orchestration.check_results import latest_day_evaluation, targets
from openai_costs_dagster.orchestration.partitions import days_to_evaluate
from openai_costs_dagster.warehouse import coverage


def latest_day_check(
    organization: Organization, configuration: Configuration, partitions: dg.DailyPartitionsDefinition
) -> dg.AssetChecksDefinition:
    """Return the check `latest_day` on the costs of an organization, with one result per UTC day."""
    key = asset_keys.costs_key(organization)
    # A freshness policy cannot replace this check: the policy passes when any day is materialized, even a day of last
    # year.
    spec = dg.AssetCheckSpec(
        asset_paths.LATEST_DAY,
        asset=key,
        description="The day is stored, or its daily refresh is not overdue yet.",
        partitions_def=partitions,
    )

    @dg.multi_asset_check(
        name=asset_keys.op_name(organization, asset_paths.LATEST_DAY),
        specs=[spec],
        pool=asset_keys.pool(organization.name),
    )
    def latest_day(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        days = days_to_evaluate(context, configuration.refresh.trailing_days)
        latest_due = late_days.latest_due_day(configuration.refresh.cron, utc_now())
        with database_access.database(configuration).connect() as connection:
            unread = coverage.unread_days(connection, organization.name, DayRange(min(days), max(days)))
        late = {day for day in unread if day <= latest_due}
        target = targets(context.instance, key, days)
        for day in days:  # Every day gets a result, because Dagster shows a planned day without a result as skipped.
            yield latest_day_evaluation(organization, day, is_stored=day not in late, target=target.get(day))
        # Besides the evaluations with a partition, Dagster requires an output for the check and fails the step without
        # it.
        yield dg.Output(None, output_name=spec.get_python_identifier())

    return latest_day
