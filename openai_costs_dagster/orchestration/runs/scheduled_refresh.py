"""The tasks of one scheduled refresh, for commands that refresh at once instead of waiting for the cron schedule."""

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

_ONE_DAY = dt.timedelta(days=1)


def scheduled_tasks(configuration: Configuration, environment: Mapping[str, str], now: dt.datetime) -> list[Task]:
    """Return the tasks of a daily refresh: the ranges of days that the automation conditions request at `now`.

    Dagster evaluates the conditions as if it had evaluated them one day earlier. `environment` has the variables that
    locate Dagster's instance.
    """
    # The variables are set in this process, because Dagster only reads the location of its instance from the
    # environment.
    os.environ.update(environment)
    definitions = build_definitions(configuration)
    with dg.DagsterInstance.get() as instance, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=dg.BetaWarning)
        # A cron condition compares two evaluations, so it is never true in the first one.
        before = dg.evaluate_automation_conditions(definitions, instance, evaluation_time=now - _ONE_DAY)
        result = dg.evaluate_automation_conditions(definitions, instance, evaluation_time=now, cursor=before.cursor)
    tasks = []
    for name, organization in configuration.organizations.items():
        keys = result.get_requested_partitions(asset_keys.costs_key(organization))
        days = [dt.date.fromisoformat(key) for key in keys if key]
        tasks += [
            Task(name, days_in_run, {asset_keys.TRIGGER_TAG: "schedule"}) for days_in_run in DayRange.covering(days)
        ]
    return tasks
