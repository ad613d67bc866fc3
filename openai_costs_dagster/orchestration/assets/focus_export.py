"""The asset `openai/focus_export`: a month of every organization as FOCUS files, for other FinOps tools."""

# `from __future__ import annotations` would break Dagster's reading of the context's type in functions made here.
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

_ENDINGS = ("parquet", "csv")


def focus_asset(
    configuration: Configuration,
    first_day: dt.date,
    *,
    automation_condition: dg.AutomationCondition[dg.AssetKey] | None,
) -> dg.AssetsDefinition:
    """Makes the asset; its partitions are the UTC months since that of `first_day`. A range of months is one run."""
    # Days before an organization's beginning, and those to come, do not exist: a month needs none of them.
    mapping = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)

    asset, organizations = asset_keys.focus_export_key(configuration), configuration.organizations.values()

    @dg.asset(
        key=asset,
        deps=[dg.AssetDep(asset_keys.costs_key(one), partition_mapping=mapping) for one in organizations],
        description=(
            "What all organizations were billed in a month, as FOCUS 1.2 rows in a Parquet and a CSV file: so OpenAI's "
            "bill lies beside other providers' in any FinOps tool. Amounts are exact."
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
        made: dict[str, dict[str, Any]] = {}
        failed: list[str] = []
        with database_access.database(configuration).connect() as connection:
            for key in context.partition_keys:
                wanted = Selection(Month.of(dt.date.fromisoformat(key)), list(configuration.organizations))
                paths = _paths(configuration, wanted.month)
                try:
                    made[key] = _metadata(export(connection, wanted, paths), paths)
                except (FocusError, NotWritable) as error:
                    failed.append(str(error))
        if failed:
            for key, metadata in made.items():
                yield dg.AssetMaterialization(asset_key=asset, partition=key, metadata=metadata)
            raise dg.Failure("; ".join(failed), allow_retries=False)
        for key, metadata in made.items():
            context.add_asset_metadata(metadata, asset_key=asset, partition_key=key)
        yield dg.MaterializeResult(asset_key=asset)

    return focus_export


def _paths(configuration: Configuration, month: Month) -> list[Path]:
    folder = exports_folder(configuration)
    return [folder / f"openai-focus-{month}.{ending}" for ending in _ENDINGS]


def _metadata(exported: ExportResult, paths: list[Path]) -> dict[str, Any]:
    """What the UI plots and shows of a month; only US dollars are plotted."""
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
