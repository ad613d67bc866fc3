"""The check `budgets`: warns on the day on which an alert threshold of a budget is reached, and while a budget is
exceeded.

`monitoring/budgets.py` evaluates the budgets and records alerts. This module reports the result of each day to Dagster.
"""

# This module omits `from __future__ import annotations`, because Dagster evaluates the annotation of `context` and
# cannot resolve a string annotation of a nested function.
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
    """Return the check `budgets` on the costs of an organization, or None if no budget can apply.

    With `allocated=True`, the check is on the allocated costs and covers the budgets of users and API keys.
    """
    if not has_budgets(organization, allocated=allocated):
        return None
    key = asset_keys.allocated_costs_key(organization) if allocated else asset_keys.costs_key(organization)
    spec = dg.AssetCheckSpec(
        asset_paths.BUDGETS,
        asset=key,
        description="No budget is exceeded, and no alert threshold of a budget was reached on the day.",
        partitions_def=partitions,
    )

    @dg.multi_asset_check(
        name=asset_keys.op_name(organization, f"{asset_paths.BUDGETS}{'_of_users' if allocated else ''}"),
        specs=[spec],
        pool=asset_keys.pool(organization.name),
    )
    def budgets(context: dg.AssetCheckExecutionContext) -> Iterator[Any]:
        days = days_to_evaluate(context, configuration.refresh.trailing_days)
        budgets_by_day = _evaluate(context, organization, configuration, days, allocated=allocated)
        target = targets(context.instance, key, budgets_by_day)
        for day, budgets_of_day in budgets_by_day.items():
            yield evaluation(
                key,
                asset_paths.BUDGETS,
                day,
                passed=not any(budget.is_over or budget.crossed for budget in budgets_of_day),
                severity=dg.AssetCheckSeverity.WARN,
                description=_description(budgets_of_day),
                metadata={"largest_share": round(max((budget.share for budget in budgets_of_day), default=0.0), 4)},
                target=target.get(day),
            )
        # Besides the evaluations with a partition, Dagster requires an output for the check and fails the step without
        # it.
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
    trigger = triggers.trigger_of(context.instance, context.run)
    evaluator = Evaluator(organization, configuration, context.run.run_id, trigger, utc_now())
    with database_access.database(configuration).connect() as connection:
        budgets_by_day = evaluator.evaluate_budgets(connection, days, allocated=allocated)
    return {day: budgets for day, budgets in budgets_by_day.items() if budgets}


def _description(budgets: list[BudgetDay]) -> str:
    return "\n".join(
        f"{budget.title}: {dollars(budget.spent)} of {dollars(budget.limit)} ({budget.share:.0%})"
        + "".join(f"; {float(100 * share):g} % was reached on this day" for share in budget.crossed)
        for budget in sorted(budgets, key=lambda budget: -budget.share)
    ).replace("%)", " %)")
