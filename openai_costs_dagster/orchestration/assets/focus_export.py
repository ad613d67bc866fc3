"""The asset `openai/focus_export`: the monthly costs of all organizations as FOCUS files, for other FinOps tools."""

# This module omits `from __future__ import annotations`, because Dagster evaluates the annotation of `context` and
# cannot resolve a string annotation of a nested function.
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from openai_costs_dagster.configuration import Configuration
from openai_costs_dagster.orchestration import asset_keys, database_access
from openai_costs_dagster.orchestration.assets.table_schemas import FOCUS
from openai_costs_dagster.orchestration.partitions import monthly_partitions
from openai_costs_dagster.report.atomic_file import NotWritable
from openai_costs_dagster.report.focus_export import ExportResult, export
from openai_costs_dagster.report.focus_files import FocusError
from openai_costs_dagster.report.locations import exports_folder
from openai_costs_dagster.warehouse.focus import Month, Selection

_FORMATS = ("parquet", "csv")


def focus_asset(
    configuration: Configuration,
    first_day: dt.date,
    *,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None,
) -> dg.AssetsDefinition:
    """Return the asset `focus_export`, whose partitions are the UTC months from the month of `first_day` to the current
    one.

    A backfill of several months is one run.
    """
    # The costs of an organization have no partitions for days before its start or in the future, but a month may
    # contain such days.
    mapping = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)

    asset, organizations = asset_keys.focus_export_key(configuration), configuration.organizations.values()

    @dg.asset(
        key=asset,
        deps=[dg.AssetDep(asset_keys.costs_key(each), partition_mapping=mapping) for each in organizations],
        description=(
            "The monthly costs of all organizations as FOCUS 1.2 rows, in a Parquet file and a CSV file. FinOps tools "
            "can compare these files with the bills of other providers. Amounts are exact."
        ),
        partitions_def=monthly_partitions(first_day),
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=automation_condition,
        group_name=asset_keys.SHARED_GROUP,
        kinds={"postgres", "parquet"},
        metadata={"dagster/table_name": "openai_costs.focus", "dagster/column_schema": FOCUS},
        code_version="1",
    )
    def focus_export(context: dg.AssetExecutionContext) -> Iterator[Any]:
        written: dict[str, dict[str, Any]] = {}
        errors: list[str] = []
        with database_access.database(configuration).connect() as connection:
            for key in context.partition_keys:
                selection = Selection(Month.of(dt.date.fromisoformat(key)), list(configuration.organizations))
                paths = _paths(configuration, selection.month)
                try:
                    written[key] = _metadata(export(connection, selection, paths), paths)
                except (FocusError, NotWritable) as error:
                    errors.append(str(error))
        if errors:
            # Dagster marks all months of a failed run as failed. An explicit materialization keeps the written months
            # successful.
            for key, metadata in written.items():
                yield dg.AssetMaterialization(asset_key=asset, partition=key, metadata=metadata)
            raise dg.Failure("; ".join(errors), allow_retries=False)
        for key, metadata in written.items():
            context.add_asset_metadata(metadata, asset_key=asset, partition_key=key)
        # A single result materializes every partition of the run. `add_asset_metadata` has attached the metadata of
        # each month above.
        yield dg.MaterializeResult(asset_key=asset)

    return focus_export


def _paths(configuration: Configuration, month: Month) -> list[Path]:
    folder = exports_folder(configuration)
    return [folder / f"openai-focus-{month}.{extension}" for extension in _FORMATS]


def _metadata(exported: ExportResult, paths: list[Path]) -> dict[str, Any]:
    """Return the metadata of an exported month for Dagster's UI.

    Dagster plots `billed_usd`, which contains the costs in US dollars only. `billed_exact` contains all currencies.
    """
    parquet, csv = paths
    billed = exported.billed
    return {
        "dagster/partition_row_count": exported.rows,
        "billed_usd": round(float(billed.get("USD", 0)), 2),
        "billed_exact": ", ".join(f"{amount:f} {currency}" for currency, amount in billed.items()) or "0",
        "rows_left_out": exported.days.left_out,
        "missing_days": exported.days.missing_days,
        "provisional": exported.provisional,
        "parquet": dg.MetadataValue.path(parquet),
        "csv": dg.MetadataValue.path(csv),
    }
