"""Automation conditions, which determine when Dagster refreshes each asset. One sensor evaluates all conditions.

Costs and usage are refreshed once a day for the trailing days, once a week for more days, and several times a day for
today and yesterday. Days that are missing or failed, such as the history of a new organization, are requested at once,
and again at each refresh until they are stored.

docs/decisions/0029-refresh-of-two-days-with-all-checks.md explains how Dagster turns the requests of these conditions
into runs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import dagster as dg

from openai_costs_dagster.configuration import Configuration, Refresh
from openai_costs_dagster.orchestration import asset_keys

_CONDITION = dg.AutomationCondition
_MIN_INTERVAL_S = 30
# One evaluation takes 50 to 100 ms per organization (docs/scale.md). The interval grows with the number of
# organizations, so that an evaluation ends before the next one starts.
_INTERVAL_PER_ORGANIZATION_S = 2
# Dagster turns a request for one day into one run for all organizations whose history begins on the same day. In a run
# for several organizations, one slow organization would delay all others. A request for two days or more becomes one
# run per organization.
_INTRADAY_DAYS = 2
# The runs of a backfill over many organizations wait in the same queue. With this priority, refreshes start before
# them.
_AHEAD_OF_BACKFILLS = {"dagster/priority": "1"}


def refresh_condition(refresh: Refresh, served_days: int) -> dg.AutomationCondition[Any]:
    """Return the automation condition of costs and usage, which excludes days that an unfinished run covers.

    The cron schedules are in UTC. `served_days` is the number of newest days that the API serves, including today.
    Older days are not requested, because their requests would fail forever.
    """
    # Dagster evaluates the operands of `&` from left to right, and skips the rest if one of them is false for all days.
    # To save time, the conditions that are rarely true come first.
    daily = _at(refresh.cron)
    trailing = daily & _latest(refresh.trailing_days)
    deep = _at(refresh.deep_cron) & _latest(refresh.deep_trailing_days)
    frequent = _at(refresh.intraday_cron) if refresh.intraday_cron else daily
    today = frequent & _latest(_INTRADAY_DAYS if refresh.intraday_cron else 1)
    again = frequent & (
        (_CONDITION.missing() & _latest(served_days)) | (_CONDITION.execution_failed() & _latest(refresh.trailing_days))
    )
    at_first = _CONDITION.initial_evaluation() & _CONDITION.missing()
    return (
        (
            trailing.with_label("the trailing days, daily")
            | deep.with_label("more trailing days, weekly")
            | today.with_label("today and yesterday, within the day")
            | at_first.with_label("the whole history of a new organization")
            | again.with_label("missing and failed days")
        )
        & ~_CONDITION.in_progress()
    ).with_label("refresh")


def downstream_condition(refresh: Refresh, served_days: int) -> dg.AutomationCondition[Any]:
    """Return the automation condition of allocated costs.

    Allocated costs are refreshed together with costs and usage, and after a backfill of costs or of usage.
    """
    after_upstream = (
        _CONDITION.any_deps_updated().since_last_handled()
        & ~_CONDITION.any_deps_in_progress()
        & ~_CONDITION.in_progress()
    )
    return refresh_condition(refresh, served_days) | after_upstream.with_label("an upstream asset was updated alone")


def evaluated_with_asset() -> dg.AutomationCondition[Any]:
    """Return the automation condition of a check that runs inside its asset: a condition that is never true.

    Dagster adds checks without a condition to an automatic run only if at least one check of the asset has a condition.
    Without this condition, an automatic run would leave out the other checks of the asset (anomalies, budgets).
    """
    at_first = _CONDITION.initial_evaluation()
    return (at_first & ~at_first).with_label("evaluated with its asset")


def report_condition() -> dg.AutomationCondition[Any]:
    """Return the automation condition of the spend report: after refreshes, and at least once an hour while refreshes
    run.

    The report waits until no run updates its upstream assets. If costs were updated while the report was being written,
    the page may lack the update, so the report is requested again.
    """
    requested, updated = _CONDITION.newly_requested(), _CONDITION.any_deps_updated()
    updated_meanwhile = (requested & updated).since(requested & ~updated)
    is_quiet = ~_CONDITION.any_deps_in_progress() | _at("@hourly")
    at_first = _CONDITION.initial_evaluation() & _CONDITION.missing()
    again = (updated.since(requested) | updated_meanwhile) & is_quiet
    return ((at_first | again) & ~_CONDITION.in_progress()).with_label("costs were updated")


def daily_condition(refresh: Refresh) -> dg.AutomationCondition[Any]:
    """Return the automation condition of assets without partitions: once after their creation, then at each daily
    refresh.
    """
    due = (_CONDITION.initial_evaluation() & _CONDITION.missing()) | _at(refresh.cron)
    return (due & ~_CONDITION.in_progress()).with_label("daily")


def monthly_condition(refresh: Refresh) -> dg.AutomationCondition[Any]:
    """Return the automation condition of the FOCUS export, whose partitions are months.

    The export does not wait until all days of a month are stored. A new month is requested when its first days are
    stored, and at each daily refresh until its file exists. If days of a month are updated between two daily refreshes,
    the month is requested again once.
    """
    # `any_deps_match` accepts missing days: an organization may start within a month, and the current month is not
    # over.
    daily = _at(refresh.cron)
    days_updated = _CONDITION.any_deps_match(_CONDITION.newly_updated()).since(daily)
    again = days_updated & daily.since_last_handled()
    is_new = _CONDITION.missing() & _CONDITION.any_deps_match(~_CONDITION.missing())
    at_first = is_new.newly_true().since_last_handled()
    return (
        (
            again.with_label("days of the month were updated after the daily tick")
            | at_first.with_label("the first days of the month are stored")
            | (is_new & (daily | _CONDITION.initial_evaluation())).with_label("the month was never exported")
        )
        & ~_CONDITION.any_deps_in_progress()
        & ~_CONDITION.in_progress()
    ).with_label("monthly")


def refresh_sensor(
    configuration: Configuration, assets: Sequence[dg.AssetKey], organizations: int
) -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that evaluates the automation conditions of `assets`. The sensor is switched on by default.

    `organizations` is the number of organizations in the code location. The interval between evaluations grows with
    this number, so that an evaluation ends before the next one starts.
    """
    return dg.AutomationConditionSensorDefinition(
        asset_keys.refresh_sensor_name(configuration),
        target=dg.AssetSelection.assets(*assets),
        default_status=dg.DefaultSensorStatus.RUNNING,
        run_tags=_AHEAD_OF_BACKFILLS,
        minimum_interval_seconds=max(_MIN_INTERVAL_S, _INTERVAL_PER_ORGANIZATION_S * organizations),
        description="Refreshes the trailing days of all organizations, and backfills new organizations.",
    )


def _latest(days: int) -> dg.AutomationCondition[Any]:
    """Return the condition that is true for the newest `days` daily partitions, of which the last is today."""
    return _CONDITION.in_latest_time_window(dt.timedelta(days=days))


def _at(cron: str) -> dg.AutomationCondition[Any]:
    return _CONDITION.cron_tick_passed(cron, "UTC")
