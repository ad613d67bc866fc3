"""Tests that purging an organization deletes its Dagster runs and loads no run of another organization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg
import pytest

from openai_costs_dagster.asset_paths import OrganizationName
from openai_costs_dagster.orchestration import asset_keys
from openai_costs_dagster.orchestration.runs import purge


def add_run(instance: dg.DagsterInstance, *organizations: str) -> str:
    keys = frozenset(asset_keys.costs_key(OrganizationName(name)) for name in organizations)
    run = dg.DagsterRun(job_name="__ASSET_JOB", asset_selection=keys, status=dg.DagsterRunStatus.SUCCESS)
    return instance.add_run(run).run_id


@pytest.fixture
def loaded_runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the runs that the Dagster instance has loaded during the test."""
    loaded: list[str] = []
    get_runs = dg.DagsterInstance.get_runs

    def counted(instance: dg.DagsterInstance, *arguments: Any, **options: Any) -> Sequence[dg.DagsterRun]:
        found = get_runs(instance, *arguments, **options)
        loaded.extend(run.run_id for run in found)
        return found

    monkeypatch.setattr(dg.DagsterInstance, "get_runs", counted)
    return loaded


def test_only_runs_of_the_purged_organization_are_loaded(
    instance: dg.DagsterInstance, loaded_runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "_RUNS_PER_QUERY", 2)
    others = [add_run(instance, name) for name in ("a-cme", "acme2", "xa_cme", "aXcme", "acme") for _ in range(20)]
    shared = add_run(instance, "a_cme", "beta")
    own = [add_run(instance, "a_cme") for _ in range(5)]
    assert purge._delete_from_dagster(instance, OrganizationName("a_cme")) == len(own)
    assert sorted(loaded_runs) == sorted([*own, shared])
    assert sorted(instance.get_run_ids()) == sorted([*others, shared])
