"""Fixtures that write configuration files, and a fixture that returns the error message of an invalid file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from openai_costs_dagster import configuration
from openai_costs_dagster.configuration import ConfigurationError

LEAK = "DoNotShowThis"
KEY = f"sk-admin-{LEAK}"
ACME = "organizations:\n  acme:\n    admin_key: {env: ACME_KEY}\n"
WHOLE = """
organizations:
  acme:
    display_name: Acme Inc.
    admin_key: {env: ACME_OPENAI_ADMIN_KEY}
    organization_id: org-ABC123
    base_url: https://api.openai.com/v1
    proxy: {env: CORPORATE_PROXY}
    start_date: 2026-01-01
    budgets:
      - {amount_usd: 20000, period: month, alert_at: [0.5, 0.8, 1.0]}
      - {project: proj_search, amount_usd: 3000.10, period: month}
      - {user: user-4711, amount_usd: 400, period: quarter}
  beta:
    admin_key: {file: /run/secrets/beta}
database: {url: {env: DATABASE_URL}}
data_directory: .openai-costs
refresh: {cron: "30 1 * * *", trailing_days: 4, settle_hours: 48, deep_cron: "0 4 * * 0", intraday_minutes: 60}
anomalies: {sensitivity: medium, minimum_impact_usd: 5}
alerts:
  - {url: {env: SLACK_URL}, events: [anomaly, budget, sync_failure]}
retention: {raw_pages_days: null}
"""
Write = Callable[[str | bytes], Path]
Mistake = Callable[[str | bytes], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes) -> Path:
        file = tmp_path / "openai_costs.yaml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    return write


@pytest.fixture
def mistake(write: Write) -> Mistake:
    """Return a function that reads an invalid file and returns the error message without the path of the file."""

    def mistake(text: str | bytes) -> str:
        file = write(text)
        with pytest.raises(ConfigurationError) as raised:
            configuration.read_file(file)
        message = str(raised.value)
        assert message.startswith(str(file))
        assert "\n" not in message
        assert "pydantic" not in message
        return message.removeprefix(str(file)).removeprefix(", ")

    return mistake
