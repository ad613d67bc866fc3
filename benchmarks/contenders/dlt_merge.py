"""The contender dlt: its rest_api source, a merge by primary key, and CSV files loaded by COPY.

dlt runs in its own environment with the fastest settings of its documentation: one pipeline run for all organizations,
one batch of rows per day, a normalizing process per core, no compression and no telemetry. Amounts are stored as text,
because dlt rounds decimals and reads JSON numbers as floats. Null key columns become "", because primary keys of dlt
must not be null.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import dlt  # type: ignore[import-not-found]  # installed in its own environment
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found]

from benchmarks.turns import Load, run_stages
from benchmarks.workload import Order, admin_key

DATASET = "dlt_costs"
_KEY = ["organization", "usage_date", "project_id", "user_id", "api_key_id", "line_item", "currency", "quantity_unit"]
_SETTINGS = {
    "DATA_WRITER__DISABLE_COMPRESSION": "true",
    "NORMALIZE__WORKERS": str(os.cpu_count() or 1),
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}


def _prepare(order: Order) -> Load:
    os.environ.update(_SETTINGS)
    pipeline = dlt.pipeline(
        pipeline_name="benchmark",
        pipelines_dir=order.folder,
        destination=dlt.destinations.postgres(credentials=_credentials(order.database)),
        dataset_name=DATASET,
    )

    def load(stage: str) -> None:
        pipeline.run(_source(order, stage), loader_file_format="csv").raise_on_failed_jobs()

    return load


def _credentials(database: str) -> str:
    """Return the URL with a host and a password, which dlt requires although the server listens on a socket only."""
    parts = urlsplit(database)
    return parts._replace(netloc=f"{parts.username}:none@localhost").geturl()


def _source(order: Order, stage: str) -> Any:
    return rest_api_source(
        {
            "client": {
                "base_url": order.base_url(stage),
                "paginator": {"type": "cursor", "cursor_path": "next_page", "cursor_param": "page"},
            },
            "resource_defaults": {
                "table_name": "costs",
                "write_disposition": "merge",
                "primary_key": _KEY,
                "columns": {
                    "usage_date": {"data_type": "date"},
                    "amount": {"data_type": "text"},
                    "quantity": {"data_type": "decimal"},
                },
            },
            "resources": [_resource(order, name) for name in order.organizations],
        }
    )


def _resource(order: Order, organization: str) -> dict[str, Any]:
    params: dict[str, list[str]] = {}
    for name, value in order.query():
        params.setdefault(name, []).append(value)
    return {
        "name": organization,
        "endpoint": {
            "path": "organization/costs",
            "params": params,
            "auth": {"type": "bearer", "token": admin_key(organization)},
            "data_selector": "data",
        },
        "processing_steps": [{"yield_map": lambda bucket: _rows(organization, bucket)}],
    }


def _rows(organization: str, bucket: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a day as one batch."""
    day = dt.datetime.fromtimestamp(bucket["start_time"], dt.UTC).date()
    yield [
        {
            "organization": organization,
            "usage_date": day,
            "project_id": row["project_id"] or "",
            "user_id": row["user_id"] or "",
            "api_key_id": row["api_key_id"] or "",
            "line_item": row["line_item"] or "",
            "currency": row["amount"]["currency"],
            "quantity_unit": row["quantity_unit"] or "",
            "amount": str(row["amount"]["value"]),
            "quantity": row["quantity"],
        }
        for row in bucket["results"]
    ]


if __name__ == "__main__":
    run_stages(_prepare)
