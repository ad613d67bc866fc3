"""The contender ours: `ingest_costs` without Dagster, one organization at a time."""

from __future__ import annotations

import datetime as dt
import gc
import os

from benchmarks.turns import Load, run_stages
from benchmarks.workload import Order, admin_key, organization_id
from openai_costs_dagster.configuration import Organization
from openai_costs_dagster.configuration.secret import SecretReference
from openai_costs_dagster.days import DayRange
from openai_costs_dagster.sync.costs import CostsRequest, ingest_costs
from openai_costs_dagster.warehouse.database import Database


def _prepare(order: Order) -> Load:
    database = Database(order.database)
    database.prepare()
    first, last = dt.date.fromisoformat(order.first), dt.date.fromisoformat(order.last)
    for number, name in enumerate(order.organizations):
        os.environ[f"BENCHMARK_KEY_{number}"] = admin_key(name)

    gc.freeze()  # the worker processes of the package use the same settings
    gc.set_threshold(50_000)

    def load(stage: str) -> None:
        for number, name in enumerate(order.organizations):
            organization = Organization(
                name=name,
                admin_key=SecretReference(env=f"BENCHMARK_KEY_{number}"),
                organization_id=organization_id(name),
                base_url=order.base_url(stage),
                start_date=first,
            )
            outcome = ingest_costs(CostsRequest(organization, database, DayRange(first, last), trigger="backfill"))
            assert not outcome.failed, outcome.message
            assert all(report.reconciled for report in outcome.stored.values()), "a day does not reconcile"

    return load


if __name__ == "__main__":
    run_stages(_prepare)
