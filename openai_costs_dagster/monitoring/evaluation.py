"""Looks at days that were stored: judges them, holds them against budgets, and records what is news.

For the checks, and for the good days of a run that fails for others: its checks are skipped by Dagster, and what they
would have found must not seem new to the next run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from openai_costs_dagster import asset_paths
from openai_costs_dagster.configuration import Configuration, Organization
from openai_costs_dagster.days import ONE_DAY
from openai_costs_dagster.monitoring import incident_alerts
from openai_costs_dagster.monitoring.anomalies import evaluate_days
from openai_costs_dagster.monitoring.budgets import BudgetDay, evaluate_budgets, has_budgets
from openai_costs_dagster.monitoring.findings import DayEvaluation
from openai_costs_dagster.records import Trigger
from openai_costs_dagster.warehouse import anomalies
from openai_costs_dagster.warehouse.database import Connection


@dataclass(frozen=True)
class Evaluator:
    """Whose days are looked at, in which run, asked for by whom, and when."""

    organization: Organization
    configuration: Configuration
    run_id: str
    trigger: Trigger
    now: dt.datetime

    def evaluate_anomalies(
        self, connection: Connection, days: Collection[dt.date], *, users: bool
    ) -> dict[dt.date, DayEvaluation]:
        """Judges days and keeps what was found, with what is news of it, in one transaction."""
        name, trigger, now = self.organization.name, self.trigger, self.now
        evaluations = evaluate_days(connection, name, self.configuration.anomalies, days, users=users)
        found = [finding for evaluation in evaluations.values() for finding in evaluation.findings]
        minimum = self.configuration.anomalies.minimum_impact_usd
        with connection.transaction():
            policy = incident_alerts.AlertPolicy(
                trigger, self._is_first(connection), self.configuration.refresh.trailing_days, now.date()
            )
            anomalies.replace_findings(connection, name, days, found, trigger=trigger, now=now, users=users)
            incident_alerts.record_alerts(connection, self.organization, evaluations, policy, minimum, now, users=users)
        return evaluations

    def evaluate_budgets(
        self, connection: Connection, days: Collection[dt.date], *, allocated: bool
    ) -> dict[dt.date, list[BudgetDay]]:
        """Each day's budgets; what was crossed is news when a refresh sees it and it was not there at first."""
        refresh = self.configuration.refresh
        newest = max(refresh.trailing_days, refresh.deep_trailing_days) * ONE_DAY
        may_alert = self.trigger == "schedule" and not self._is_first(connection)
        since = self.now.date() - newest if may_alert else dt.date.max
        return evaluate_budgets(connection, self.organization, days, self.now, allocated=allocated, alert_since=since)

    def evaluate(self, connection: Connection, days: Collection[dt.date]) -> None:
        """All that the checks of costs would have looked at."""
        checks = self.configuration.checks
        if asset_paths.ANOMALOUS_SPEND in checks:
            self.evaluate_anomalies(connection, days, users=False)
        if asset_paths.BUDGETS in checks and has_budgets(self.organization, allocated=False):
            self.evaluate_budgets(connection, days, allocated=False)

    def _is_first(self, connection: Connection) -> bool:
        return incident_alerts.is_first_evaluation(connection, self.organization.name, self.run_id)
