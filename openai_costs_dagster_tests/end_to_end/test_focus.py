"""Tests of the FOCUS export with the public validator. The expected failures are listed with their reasons."""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path

import pytest

from openai_costs_dagster.days import DayRange
from openai_costs_dagster.report.focus_export import export
from openai_costs_dagster.simulator import SimulatedOrganization
from openai_costs_dagster.sync.costs import CostsRequest, ingest_costs
from openai_costs_dagster.sync.directory import sync_directory
from openai_costs_dagster.warehouse.database import Database
from openai_costs_dagster.warehouse.focus import Month, Selection

from ..conftest import Clock, MakeOrganization, RunSimulator
from . import focus_validator

FEBRUARY = Month(2026, 2)

FAILURES_OF_MISSING_FIELDS = {
    # OpenAI bills some rows without a line item; a placeholder would break FOCUS' rule for nulls.
    "ChargeDescription-C-000-M",
    "ChargeDescription-C-003-O",
    # OpenAI returns no quantity for some tools (web search) and for rows without a line item.
    "ConsumedQuantity-C-000-C",
    "ConsumedQuantity-C-003-C",
    "ConsumedQuantity-C-004-C",  # The rule passes, but the validator reports a failure because a related rule fails.
    "ConsumedQuantity-C-005-C",
    "ConsumedQuantity-C-006-C",
    # The API returns no invoice id, and the validator always requires an invoice id.
    "InvoiceId-C-005-C",
}
FAILURES_OF_UNTYPED_CSV = {
    # CSV has no types, so the validator treats a column of whole numbers as integers.
    "ConsumedQuantity-C-001-M",
    "PricingQuantity-C-000-M",
    "PricingQuantity-C-001-M",
}


@pytest.fixture(scope="module")
def validator() -> str:
    interpreter = focus_validator.python()
    if interpreter is None:
        pytest.skip("focus-validator cannot be had: it needs Python 3.12 (python3.12 on the path) and a package index")
    return interpreter


@pytest.fixture
def month(
    database: Database, simulator: RunSimulator, organization: MakeOrganization, clock: Clock, tmp_path: Path
) -> Path:
    """Export a simulated February as CSV and Parquet, and return the folder of the files."""
    simulated = SimulatedOrganization(api_keys_from=None, users_with_projects_served=True)
    acme = organization(simulator(simulated))
    days = DayRange(FEBRUARY.days.first, FEBRUARY.days.last + dt.timedelta(days=1))
    assert not ingest_costs(CostsRequest(acme, database, list(days), now=clock)).failed
    sync_directory(acme, database, may_alert=False, log=logging.getLogger(__name__))
    with database.connect() as connection:
        files = [tmp_path / f"february.{ending}" for ending in ("csv", "parquet")]
        exported = export(connection, Selection(FEBRUARY, ["acme"]), files)
    assert exported.rows > 300
    return tmp_path


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("ending", "expected_failures"),
    [("parquet", FAILURES_OF_MISSING_FIELDS), ("csv", FAILURES_OF_MISSING_FIELDS | FAILURES_OF_UNTYPED_CSV)],
)
def test_public_validator_reports_only_fields_openai_does_not_provide(
    validator: str, month: Path, ending: str, expected_failures: set[str]
) -> None:
    verdict = focus_validator.validate(validator, month / f"february.{ending}")
    assert verdict.failures == expected_failures
    assert (verdict.total, verdict.skipped) == (578, 357)
    assert verdict.passed == verdict.total - verdict.skipped - len(expected_failures)
