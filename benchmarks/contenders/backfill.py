"""The contender backfill: the command `openai-costs backfill`, including Dagster's runs, events and checks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.turns import Load, run_stages
from benchmarks.workload import Order, admin_key, organization_id

_USER_VARIABLES = ("OPENAI_", "DAGSTER_", "DATABASE_URL")


def _prepare(order: Order) -> Load:
    folder = Path(order.folder)
    command = [str(Path(sys.executable).with_name("openai-costs")), "backfill", "--from", order.first]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_USER_VARIABLES)} | {
        "BENCHMARK_DATABASE": order.database,
        "OPENAI_COSTS_CONFIG": str(folder / "openai_costs.yaml"),
        **{f"BENCHMARK_KEY_{number}": admin_key(name) for number, name in enumerate(order.organizations)},
    }

    def load(stage: str) -> None:
        (folder / "openai_costs.yaml").write_text(_configuration(order, stage), encoding="utf-8")
        subprocess.run([*command, "--to", order.last], env=environment, cwd=folder, stdout=sys.stderr, check=True)

    return load


def _configuration(order: Order, stage: str) -> str:
    lines = ["organizations:"]
    for number, name in enumerate(order.organizations):
        lines += [
            f"  {name}:",
            f"    admin_key: {{env: BENCHMARK_KEY_{number}}}",
            f"    organization_id: {organization_id(name)}",
            f"    base_url: {order.base_url(stage)}",
            f"    start_date: {order.first}",
        ]
    return "\n".join([*lines, "database: {url: {env: BENCHMARK_DATABASE}}", ""])


if __name__ == "__main__":
    run_stages(_prepare)
