"""Partitions of the assets: UTC days from the start of an organization's history to today, and UTC months."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from typing import NamedTuple

import dagster as dg

from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.configuration.secret import SecretUnavailable
from openai_costs_dagster.days import DayRange, utc_now
from openai_costs_dagster.orchestration.database_access import EmbeddedServerNotStarted, existing_database
from openai_costs_dagster.sync.history_start import served_days, start_of
from openai_costs_dagster.warehouse import organizations
from openai_costs_dagster.warehouse.errors import WarehouseError

_LOG = logging.getLogger(__name__)

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


class History(NamedTuple):
    """The first day of an organization's partitions, and the number of days, including today, that the API serves."""

    first_day: dt.date
    served_days: int


def daily_partitions(first_day: dt.date) -> dg.DailyPartitionsDefinition:
    """Return UTC days from `first_day` to today. The partition of today exists and is provisional."""
    # By default, the last partition is the last finished day. end_offset=1 adds today.
    return dg.DailyPartitionsDefinition(start_date=first_day.isoformat(), timezone="UTC", end_offset=1)


def monthly_partitions(first_day: dt.date) -> dg.MonthlyPartitionsDefinition:
    """Return UTC months from the month of `first_day` to the current month."""
    return dg.MonthlyPartitionsDefinition(start_date=first_day.replace(day=1).isoformat(), timezone="UTC", end_offset=1)


def range_tags(days: DayRange) -> dict[str, str]:
    """Return the tags with which Dagster executes a range of partitions in one run."""
    return {RANGE_START_TAG: days.first.isoformat(), RANGE_END_TAG: days.last.isoformat()}


def days_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[dt.date]:
    """Return the UTC days of a run: its partition or its range of partitions."""
    # A backfill of a single day sets the tags of a range and no `dagster/partition`. `partition_keys` works for both.
    return [dt.date.fromisoformat(key) for key in context.partition_keys]


def days_to_evaluate(context: dg.AssetCheckExecutionContext, trailing_days: int) -> list[dt.date]:
    """Return the UTC days of a check. Without partitions ("Execute all" in the UI), return the trailing days."""
    if context.has_partition_key or context.has_partition_key_range:
        return days_of(context)
    # "Execute all" on the asset's page starts a check without any partition, so the recent days are evaluated.
    today = utc_now().date()
    return list(DayRange(today - dt.timedelta(days=trailing_days - 1), today))


def histories(configuration: Configuration) -> Mapping[str, History]:
    """Return the history of each organization, from the configured start or the start that onboarding has stored.

    The history of an organization that is not onboarded begins a year before today, and so does every history while
    Postgres does not respond.
    """
    stored = {entry.organization: entry for entry in _registered(configuration)}
    today = utc_now().date()
    return {
        name: History(start_of(organization, stored.get(name), today), served_days(stored.get(name)))
        for name, organization in configuration.organizations.items()
    }


def _registered(configuration: Configuration) -> list[organizations.StoredOrganization]:
    try:
        with existing_database(configuration).connect() as connection:
            return organizations.all_organizations(connection) if organizations.schema_exists(connection) else []
    except EmbeddedServerNotStarted:
        return []
    except (WarehouseError, SecretUnavailable) as error:
        _LOG.warning("stored start dates cannot be read, so partitions begin at start_date or a year ago: %s", error)
        return []
