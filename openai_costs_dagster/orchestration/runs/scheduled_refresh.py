"""Makes one scheduled refresh without waiting for its hour: Dagster's own evaluation, with the time given."""

from __future__ import annotations

import datetime as dt
import os
import warnings
from collections.abc import Mapping

import dagster as dg

from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.build import build_definitions
from openai_costs_dagster.orchestration.runs.worker_pool import Task

_A_DAY = dt.timedelta(days=1)


def scheduled_tasks(configuration: Configuration, environment: Mapping[str, str], now: dt.datetime) -> list[Task]:
    """What the automation conditions ask for at `now` if they were last evaluated a day before it."""
    os.environ.update(environment)  # Dagster reads its instance from the environment alone
    definitions = build_definitions(configuration)
    with dg.DagsterInstance.get() as instance, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        before = dg.evaluate_automation_conditions(definitions, instance, evaluation_time=now - _A_DAY)
        result = dg.evaluate_automation_conditions(definitions, instance, evaluation_time=now, cursor=before.cursor)
    tasks = []
    for name, organization in configuration.organizations.items():
        keys = result.get_requested_partitions(asset_keys.costs_key(organization))
        days = [dt.date.fromisoformat(key) for key in keys if key]
        tasks += [Task(name, part, {asset_keys.TRIGGER_TAG: "schedule"}) for part in DayRange.covering(days)]
    return tasks
