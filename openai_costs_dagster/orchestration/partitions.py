"""Dagster partitions: UTC days from the start of an organization's history to today, and UTC months."""

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
    """The first day of an organization's partitions, and the number of newest days that the API serves, including
    today.
    """

    first_day: dt.date
    served_days: int


def daily_partitions(first_day: dt.date) -> dg.DailyPartitionsDefinition:
    """Return the UTC days from `first_day` to today. Today has a partition, although its costs are provisional."""
    # By default, Dagster's last partition is the last finished day. `end_offset=1` adds today.
    return dg.DailyPartitionsDefinition(start_date=first_day.isoformat(), timezone="UTC", end_offset=1)


def monthly_partitions(first_day: dt.date) -> dg.MonthlyPartitionsDefinition:
    """Return the UTC months from the month of `first_day` to the current month."""
    return dg.MonthlyPartitionsDefinition(start_date=first_day.replace(day=1).isoformat(), timezone="UTC", end_offset=1)


def range_tags(days: DayRange) -> dict[str, str]:
    """Return the Dagster tags that make a run cover the partitions from the first to the last of `days`."""
    return {RANGE_START_TAG: days.first.isoformat(), RANGE_END_TAG: days.last.isoformat()}


def days_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[dt.date]:
    """Return the UTC days that a run covers, for a single partition and for a range of partitions."""
    # `partition_keys` works for every run, while `partition_key` would fail in a backfill of a single day, which sets
    # the tags of a range but not the tag `dagster/partition`.
    return [dt.date.fromisoformat(key) for key in context.partition_keys]


def days_to_evaluate(context: dg.AssetCheckExecutionContext, trailing_days: int) -> list[dt.date]:
    """Return the UTC days that a check evaluates: the partitions of its run, or the newest `trailing_days` days without
    any.
    """
    if context.has_partition_key or context.has_partition_key_range:
        return days_of(context)
    # The button "Execute all" on the asset's page starts a check without any partition. Reading the partitions of such
    # a run would raise an error.
    today = utc_now().date()
    return list(DayRange(today - dt.timedelta(days=trailing_days - 1), today))


def histories(configuration: Configuration) -> Mapping[str, History]:
    """Return the history of each configured organization by name.

    A history begins at the configured `start_date`, or else at the start that onboarding has stored. If neither is
    known, or while Postgres does not respond, the history begins one year before today.
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
