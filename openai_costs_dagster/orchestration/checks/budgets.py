"""The check `budgets`: how much of each budget was spent by the end of each day. A warning, never a failure."""

# `from __future__ import annotations` would break Dagster's reading of the context's type in functions made here.
import datetime as dt
from collections.abc import Iterator
from typing import Any

import dagster as dg

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.days import utc_now
from openai_costs_dagster.monitoring.budgets import BudgetDay, has_budgets
from openai_costs_dagster.monitoring.evaluation import Evaluator
from openai_costs_dagster.orchestration import asset_keys, database_access, triggers
from openai_costs_dagster.orchestration.check_results import evaluation, targets
from openai_costs_dagster.orchestration.partitions import days_to_evaluate
from openai_costs_dagster.spend.money import dollars


def budget_check(
    organization: Organization,
    configuration: Configuration,
    partitions: dg.DailyPartitionsDefinition,
    *,
    allocated: bool,
) -> dg.AssetChecksDefinition | None:
    """Makes an organization's `budgets`; None where there are no such budgets.

    With `allocated` it is the one of allocated costs, for budgets of users and API keys.
    """
    if not has_budgets(organization, allocated=allocated):
        return None
    name = organization.name
    key = asset_keys.allocated_costs_key(organization) if allocated else asset_keys.costs_key(organization)
    spec = dg.AssetCheckSpec(
        asset_paths.BUDGETS,
        asset=key,
        description="No budget is used up, and no share of one was reached on the day.",
        partitions_def=partitions,
    )

    @dg.multi_asset_check(
        name=asset_keys.op_name(organization, f"{asset_paths.BUDGETS}{'_of_users' if allocated else ''}"),
        specs=[spec],
        pool=asset_keys.pool(name),
    )
    def budgets(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        days = days_to_evaluate(context, configuration.refresh.trailing_days)
        found = _evaluate(context, organization, configuration, days, allocated=allocated)
        target = targets(context.instance, key, found)
        for day, of_day in found.items():
            yield evaluation(
                key,
                asset_paths.BUDGETS,
                day,
                passed=not any(one.is_over or one.crossed for one in of_day),
                severity=dg.AssetCheckSeverity.WARN,
                description=_description(of_day),
                metadata={"largest_share": round(max((one.share for one in of_day), default=0.0), 4)},
                target=target.get(day),
            )
        yield dg.Output(None, output_name=spec.get_python_identifier())

    return budgets


def _evaluate(
    context: dg.AssetCheckExecutionContext,
    organization: Organization,
    configuration: Configuration,
    days: list[dt.date],
    *,
    allocated: bool,
) -> dict[dt.date, list[BudgetDay]]:
    evaluator = Evaluator(
        organization, configuration, context.run.run_id, triggers.trigger_of(context.instance, context.run), utc_now()
    )
    with database_access.database(configuration).connect() as connection:
        found = evaluator.evaluate_budgets(connection, days, allocated=allocated)
    return {day: of_day for day, of_day in found.items() if of_day}


def _description(of_day: list[BudgetDay]) -> str:
    return "\n".join(
        f"{one.title}: {dollars(one.spent)} of {dollars(one.limit)} ({one.share:.0%})"
        + "".join(f"; {float(100 * share):g} % was reached on this day" for share in one.crossed)
        for one in sorted(of_day, key=lambda one: -one.share)
    ).replace("%)", " %)")
