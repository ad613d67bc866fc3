"""Which days an organization's assets have: from its stored start, UTC, today included as the last, provisional one."""

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
    """Where an organization's partitions begin, and how many of the newest the API still serves, today included."""

    first_day: dt.date
    served_days: int


def daily_partitions(first_day: dt.date) -> dg.DailyPartitionsDefinition:
    """UTC days from `first_day` to today, which is the last and still growing."""
    return dg.DailyPartitionsDefinition(start_date=first_day.isoformat(), timezone="UTC", end_offset=1)


def monthly_partitions(first_day: dt.date) -> dg.MonthlyPartitionsDefinition:
    """UTC months from that of `first_day` to the running one, which is the last and still growing."""
    return dg.MonthlyPartitionsDefinition(start_date=first_day.replace(day=1).isoformat(), timezone="UTC", end_offset=1)


def range_tags(days: DayRange) -> dict[str, str]:
    """The tags by which Dagster runs a range of partitions as one run."""
    return {RANGE_START_TAG: days.first.isoformat(), RANGE_END_TAG: days.last.isoformat()}


def days_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[dt.date]:
    """The days that a run was asked for, one or a range."""
    return [dt.date.fromisoformat(key) for key in context.partition_keys]


def days_to_evaluate(context: dg.AssetCheckExecutionContext, trailing_days: int) -> list[dt.date]:
    """The days that a check was asked for; started without any, as the UI does it, the trailing window."""
    if context.has_partition_key or context.has_partition_key_range:
        return days_of(context)
    today = utc_now().date()
    return list(DayRange(today - dt.timedelta(days=trailing_days - 1), today))


def histories(configuration: Configuration) -> Mapping[str, History]:
    """Return each organization's history; while Postgres is down, and before first contact, a year back from today."""
    stored = {known.organization: known for known in _registered(configuration)}
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
        _LOG.warning("partitions begin at their fallback: %s", error)
        return []
