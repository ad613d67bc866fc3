"""When costs are read again without anyone asking: one condition per asset, evaluated by one sensor.

Daily over the trailing days, weekly over more of them, within the day for today and yesterday; days that are missing (a
new organization's whole history, a window that failed) are asked for at once and then again every hour or day.

docs/decisions/0029-what-a-refresh-requests.md explains how the requests of these conditions become runs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import dagster as dg

from openai_costs_dagster.configuration import Configuration, Refresh
from openai_costs_dagster.orchestration import asset_keys

_CONDITION = dg.AutomationCondition
_SENSOR_INTERVAL = 30  # seconds
_FOR_EACH_ORGANIZATION = 2  # seconds; an evaluation takes 50 to 100 ms of them (docs/scale.md)
# Dagster turns a request for one day into one run for all organizations whose history begins on the same day, so one
# slow organization would delay the others. A request for two days or more becomes one run for each organization.
_INTRADAY_DAYS = 2
_AHEAD_OF_BACKFILLS = {"dagster/priority": "1"}


def refresh_condition(refresh: Refresh, served_days: int) -> dg.AutomationCondition[Any]:
    """Return which days to read at which ticks; crons are UTC. Never while a run for the same days is under way.

    `served_days` is how many days the API serves, today included: an older day cannot be read any more, so requesting
    it again would fail for ever. Conditions that rarely hold come first, because Dagster then evaluates nothing else.
    """
    daily = _at(refresh.cron)
    trailing = daily & _latest(refresh.trailing_days)
    deep = _at(refresh.deep_cron) & _latest(refresh.deep_trailing_days)
    often = _at(refresh.intraday_cron) if refresh.intraday_cron else daily
    today = often & _latest(_INTRADAY_DAYS if refresh.intraday_cron else 1)
    again = often & (
        (_CONDITION.missing() & _latest(served_days)) | (_CONDITION.execution_failed() & _latest(refresh.trailing_days))
    )
    at_first = _CONDITION.initial_evaluation() & _CONDITION.missing()
    return (
        (
            trailing.with_label("the trailing days, daily")
            | deep.with_label("more of them, weekly")
            | today.with_label("today and yesterday, within the day")
            | at_first.with_label("all history, at first")
            | again.with_label("days that are missing or failed")
        )
        & ~_CONDITION.in_progress()
    ).with_label("refresh")


def downstream_condition(refresh: Refresh, served_days: int) -> dg.AutomationCondition[Any]:
    """For what is made of other assets: with them, and again when one of them was read alone."""
    alone = (
        _CONDITION.any_deps_updated().since_last_handled()
        & ~_CONDITION.any_deps_in_progress()
        & ~_CONDITION.in_progress()
    )
    return refresh_condition(refresh, served_days) | alone.with_label("what it is made of was read")


def evaluated_with_asset() -> dg.AutomationCondition[Any]:
    """Return the condition of a check that is evaluated inside its asset: it never holds by itself.

    Dagster requests such a check explicitly whenever it requests one day of the asset, and that list then replaces the
    asset's other checks (anomalies, budgets). It adds the checks without a condition only if one of the asset's checks
    has a condition, which is what this one is for.
    """
    at_first = _CONDITION.initial_evaluation()
    return (at_first & ~at_first).with_label("evaluated with its asset")


def report_condition() -> dg.AutomationCondition[Any]:
    """For what tells of all organizations: once whatever is being read now has been, within the hour, and at first.

    What is read while the report is being made may or may not be in it, so it is made once more.
    """
    requested, read = _CONDITION.newly_requested(), _CONDITION.any_deps_updated()
    beside = (requested & read).since(requested & ~read)
    is_quiet = ~_CONDITION.any_deps_in_progress() | _at("@hourly")
    at_first = _CONDITION.initial_evaluation() & _CONDITION.missing()
    anew = (read.since(requested) | beside) & is_quiet
    return ((at_first | anew) & ~_CONDITION.in_progress()).with_label("costs were read")


def daily_condition(refresh: Refresh) -> dg.AutomationCondition[Any]:
    """For what is read whole: at first, and once a day with the trailing days."""
    due = (_CONDITION.initial_evaluation() & _CONDITION.missing()) | _at(refresh.cron)
    return (due & ~_CONDITION.in_progress()).with_label("daily")


def monthly_condition(refresh: Refresh) -> dg.AutomationCondition[Any]:
    """For months that are made of days: a month whose days were read after the daily tick is made anew, once until the
    next tick; one that was never made, when its first days are there, and again at each tick until it is.

    Days that are missing stop nothing: a month may be younger than an organization, and the running one is not over.
    """
    daily = _at(refresh.cron)
    were_read = _CONDITION.any_deps_match(_CONDITION.newly_updated()).since(daily)
    anew = were_read & daily.since_last_handled()
    is_new = _CONDITION.missing() & _CONDITION.any_deps_match(~_CONDITION.missing())
    at_first = is_new.newly_true().since_last_handled()
    return (
        (
            anew.with_label("its days were read after the daily tick")
            | at_first.with_label("its first days are there")
            | (is_new & (daily | _CONDITION.initial_evaluation())).with_label("it was never made")
        )
        & ~_CONDITION.any_deps_in_progress()
        & ~_CONDITION.in_progress()
    ).with_label("monthly")


def refresh_sensor(
    configuration: Configuration, assets: Sequence[dg.AssetKey], organizations: int
) -> dg.AutomationConditionSensorDefinition:
    """The one sensor that evaluates them all, running unless someone switches it off; of many it looks less often."""
    return dg.AutomationConditionSensorDefinition(
        asset_keys.refresh_sensor_name(configuration),
        target=dg.AssetSelection.assets(*assets),
        default_status=dg.DefaultSensorStatus.RUNNING,
        run_tags=_AHEAD_OF_BACKFILLS,
        minimum_interval_seconds=max(_SENSOR_INTERVAL, _FOR_EACH_ORGANIZATION * organizations),
        description="Reads the trailing days of every organization again, and new ones from their beginning.",
    )


def _latest(days: int) -> dg.AutomationCondition[Any]:
    """The newest partitions, today being the last of them."""
    return _CONDITION.in_latest_time_window(dt.timedelta(days=days))


def _at(cron: str) -> dg.AutomationCondition[Any]:
    return _CONDITION.cron_tick_passed(cron, "UTC")
